"""The reference VAE of MNIST (Kingma and Welling 2019 by way of Tomczak and Welling 2018): its layers, its start, its training."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.estimate import Estimate
from ratelab.core.model import Model
from ratelab.distributions.mixtures import GaussianMixture
from ratelab.models import MODELS
from ratelab.runs import Circumstances, execute, read_recipe, single
from ratelab.store import Store

NAMES = ("reference", "reference-vamp")


def build(name: str) -> Model:
    x = (np.random.default_rng(0).random((500, 1, 28, 28)) < 0.13).astype(np.uint8)
    dataset = Dataset("noise", Support.BINARY, Split(x), Split(x[:4]), Split(x[:4]))
    torch.manual_seed(0)
    return MODELS.build(single(read_recipe(f"kingma2019/{name}")).model, dataset)


@pytest.mark.parametrize("name", NAMES)
def test_layers_are_the_published_ones_and_start_as_hes(name: str) -> None:
    model = build(name)
    layers = {key: layer for key, layer in model.named_modules() if isinstance(layer, nn.Linear)}
    assert [(layer.in_features, layer.out_features) for layer in layers.values()] == [
        (784, 600), (300, 600), (300, 80), (40, 600), (300, 600), (300, 784),
    ]  # fmt: skip
    for key, layer in layers.items():
        if ".network." in key:
            assert float(layer.weight.detach().std()) == pytest.approx(math.sqrt(2 / layer.in_features), rel=0.05)
    with torch.no_grad():
        seen = model(Batch(30 * torch.rand(20, 1, 28, 28)), LiveNoise(0))
    variance = seen.layers[0].encoder.scale.square()
    assert float(variance.log().min()) == pytest.approx(-6.0, abs=1e-4)
    assert float(variance.log().max()) == pytest.approx(2.0, abs=1e-4)


def test_a_vamp_prior_has_500_pseudo_inputs_of_equal_weight() -> None:
    model = build("reference-vamp")
    law = model.marginal(model.encode)
    assert isinstance(law, GaussianMixture)
    assert model.marginal.logits.shape == (500,)
    assert not model.marginal.logits.requires_grad
    assert float(model.marginal.logits.std()) == 0.0


@pytest.mark.parametrize("name", NAMES)
def test_training_is_the_published_one_and_shorter_in_its_small_tier(name: str) -> None:
    whole, small = (single(read_recipe(f"kingma2019/{name}{at}")) for at in ("", "@small"))
    assert whole.data["name"] == "static-mnist"
    assert (whole.optimiser["normalise"], whole.optimiser["lr"], whole.training.batch_size) == (True, 5e-4, 100)
    assert (whole.objective["annealing"], whole.training.epochs, whole.training.early_stopping.patience) == (100, 2000, 50)
    assert small.model == whole.model
    assert small.data == whole.data
    assert small.training.epochs == 60


@pytest.mark.slow
@pytest.mark.spec("VF60")
def test_the_reference_reaches_the_published_likelihood(real_data: Path, tmp_path: Path) -> None:
    """88.6 nats by importance sampling with 5 000 samples; here D + R of the whole test split less what 100 of its images gain."""
    measured = "evaluation.estimators=[rate-distortion, {name: iwae, every: 100}]"
    results = execute(
        single(read_recipe("kingma2019/reference@small"), [measured]), Store.create(tmp_path / "s"), Circumstances()
    )
    neg_elbo, gain = (Estimate.from_json(results["estimates"][name]) for name in ("neg_elbo", "iwae_gain"))
    assert gain.n == 100
    assert abs(neg_elbo.value - gain.value - 88.6) < 1.5

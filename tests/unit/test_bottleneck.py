"""The information bottleneck: the decoder scores the label, and the loss is the Lagrangian of the two informations."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "contract"))
from toys import real_table

from ratelab.core.batch import Batch, LiveNoise, ModeNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.core.objective import Setting
from ratelab.evaluation import latents
from ratelab.exact.discrete import entropy, mutual_information
from ratelab.models import MODELS
from ratelab.models.bottleneck import Bottleneck
from ratelab.objectives import OBJECTIVES
from ratelab.runs import execute, from_mapping, single
from ratelab.store import Store

STATES = 6
CODE = torch.tensor([0, 0, 1, 1, 2, 2])  # z = f(x)
LABEL = torch.tensor([0, 0, 0, 1, 1, 1])


def deterministic() -> tuple[Bottleneck, Batch]:
    """Six states as one-hot vectors, three codes, z = f(x) by saturated logits; the best marginal and classifier for it."""
    x = np.eye(STATES, dtype=np.float32)
    data = Split(x, LABEL.numpy())
    node = {
        "name": "bottleneck",
        "latent_dim": 3,
        "encoder": {"name": "categorical", "states": 3, "network": {"name": "mlp", "hidden": []}},
        "marginal": {"name": "categorical", "states": 3, "learned": True},
    }
    model = MODELS.build(MODELS.resolve(node, "model"), Dataset("six", Support.REAL, data, data, data)).double().eval()
    code = torch.eye(3, dtype=torch.float64)[CODE]
    with torch.no_grad():
        model.encoder.out.weight.copy_(2000 * code.T)
        model.encoder.out.bias.zero_()
        (logits,) = model.marginal.parameters()
        logits.copy_(code.mean(0).log().reshape(logits.shape))
        told = torch.stack([code.T @ torch.nn.functional.one_hot(LABEL, 2).double()])[0]
        model.classifier.head.weight.copy_((told / told.sum(1, keepdim=True)).clamp(min=1e-300).log().T)
        model.classifier.head.bias.zero_()
    return model, Batch(torch.eye(STATES, dtype=torch.float64), y=LABEL)


@pytest.mark.spec("IM06")
@pytest.mark.parametrize("beta", [0.25, 1.0, 3.0])
def test_with_a_deterministic_encoder_it_is_the_entropy_form(beta: float) -> None:
    """D + beta R = H(y) - (I(z; y) - beta H(z)): where z = f(x), what z keeps of x is its whole entropy."""
    model, batch = deterministic()
    seen = model(batch, LiveNoise(0, dtype=torch.float64))
    setting = Setting(model.event_shape, model.latent_shapes, 10, STATES)
    loss = OBJECTIVES.build({"name": "beta", "beta": beta}, setting).double().loss(seen, {}).total
    joint = torch.nn.functional.one_hot(CODE, 3).T.double() @ torch.nn.functional.one_hot(LABEL, 2).double() / STATES
    lagrangian = mutual_information(joint) - beta * entropy(joint.sum(1))
    assert torch.allclose(loss, entropy(joint.sum(0)) - lagrangian, atol=1e-9)


@pytest.mark.spec("IM06")
def test_the_decoder_scores_the_label_and_sees_only_the_latents() -> None:
    model, batch = deterministic()
    seen = model(batch, LiveNoise(0, dtype=torch.float64))
    assert seen.target is batch.y
    certain = seen.distortion[0, [0, 1, 4, 5]]
    assert torch.allclose(certain, torch.zeros(4, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(seen.distortion[0, [2, 3]], torch.full((2,), math.log(2), dtype=torch.float64)), "code 1 is a coin"


def test_examples_without_labels_are_encoded_but_have_no_distortion() -> None:
    model, batch = deterministic()
    seen = model(Batch(batch.x), ModeNoise(dtype=torch.float64))
    assert seen.distortion.isnan().all()
    assert seen.rates.isfinite().all()
    (codes,) = latents.encode(model, batch.x.numpy())
    assert codes.argmax(1).tolist() == CODE.tolist()
    with pytest.raises(UserError, match="makes no examples"):
        latents.sample(model, 3, 0)


def test_data_without_labels_is_refused() -> None:
    with pytest.raises(UserError, match="predicts labels, and 'real table' has none"):
        MODELS.build(MODELS.resolve("bottleneck", "model"), real_table())


def test_a_run_learns_the_labels_and_stays_off_the_plane_of_the_data(tmp_path: Path) -> None:
    from ratelab.analysis.point import points
    from ratelab.analysis.records import read_records

    recipe = {
        "data": "digits",
        "model": {
            "name": "bottleneck",
            "latent_dim": 4,
            "encoder": {"name": "gaussian", "network": {"name": "mlp", "hidden": [32]}},
        },
        "objective": {"beta": 0.01},
        "optimiser": {"name": "adam", "lr": 5e-3},
        "training": {"epochs": 8, "batch_size": 64},
    }
    results = execute(single(from_mapping(recipe, "vib"), ()), Store.create(tmp_path))
    assert results["status"] == "done"
    found = results["estimates"]["distortion"]
    assert found["of"] == "distortion of the label"
    assert found["value"] < 0.6 * math.log(10)
    (point,) = points(read_records(tmp_path))
    assert point.apart == "its distortion is of the label, not of the example"

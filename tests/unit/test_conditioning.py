"""One model for the whole curve: draws of log beta, gates, the price of each example, and what cannot be conditioned."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from test_training import data, finish

from ratelab.core.batch import MODE, Batch, LiveNoise
from ratelab.core.condition import Conditioning
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.core.objective import Setting
from ratelab.models import MODELS
from ratelab.networks.gates import beside
from ratelab.objectives import OBJECTIVES
from ratelab.runs import resolve
from ratelab.training import OPTIMISERS, Plan, Trainer, checkpoint, refusal

MLP = {"name": "mlp", "hidden": [16]}
VAE: dict[str, Any] = {
    "name": "vae",
    "latent_dim": 3,
    "encoder": {"name": "gaussian", "network": MLP},
    "decoder": {"name": "bernoulli", "network": MLP},
    "conditioning": {"name": "beta", "range": [0.1, 4.0]},
}
HIERARCHY = {**VAE, "name": "hierarchy", "latent_dim": [2, 3]}
GATED = {**VAE, "encoder": {"name": "gaussian", "network": {"name": "mlp", "hidden": [8], "activation": "gated"}}}


def conv(side: int = 8) -> tuple[dict[str, Any], Dataset]:
    x = (np.random.default_rng(0).random((30, 1, side, side)) < 0.3).astype(np.uint8)
    node = {
        **VAE,
        "encoder": {"name": "gaussian", "network": {"name": "conv", "width": 2, "features": 8}},
        "decoder": {"name": "bernoulli", "network": {"name": "deconv", "width": 2}},
    }
    return node, Dataset("images", Support.BINARY, Split(x), Split(x), Split(x))


def built(node: dict[str, Any], dataset: Dataset | None = None) -> Model:
    torch.manual_seed(0)
    model: Model = MODELS.build(MODELS.resolve(node, "model"), dataset or data())
    assert model.conditioning is not None
    torch.nn.init.normal_(model.conditioning.gates.last.weight, std=0.5)  # gates that matter, whatever the training
    return model


def trainer(node: dict[str, Any] = VAE, objective: Any = "beta", epochs: int = 4) -> Trainer:
    model, dataset = built(node), data()
    setting = Setting(model.event_shape, model.latent_shapes, epochs, len(dataset.train))
    made = OBJECTIVES.build(OBJECTIVES.resolve(objective, "objective"), setting)
    return Trainer(model, made, dataset, OPTIMISERS.resolve("adam", "optimiser"), Plan(epochs=epochs, batch_size=25), seed=1)


def test_more_is_drawn_at_the_ends_of_the_range_where_that_is_asked_for() -> None:
    """By the arcsine law a third of the draws lies in each of the first and last quarter, and a third in the half between."""
    assert built({**VAE, "conditioning": {"name": "beta", "draws": "ends"}}).conditioning.ends  # type: ignore[union-attr]
    place = (Conditioning(0.1, 4.0, 1, ends=True).draw(3000, LiveNoise(0)) - math.log(0.1)) / math.log(40)
    assert -1e-6 < place.min() < 1e-3 < 0.999 < place.max() < 1 + 1e-6
    thirds = torch.histogram(place.flatten(), torch.tensor([0.0, 0.25, 0.75, 1.0])).hist
    assert thirds.tolist() == pytest.approx([1000, 1000, 1000], abs=1)  # stratified: exact up to a draw at each border


def test_each_part_of_the_range_gives_one_example_its_beta() -> None:
    drawn = Conditioning(0.1, 4.0, 2).draw(50, LiveNoise(0))
    place = (drawn - math.log(0.1)) / math.log(40)
    assert drawn.shape == (50, 2)
    assert all(sorted((50 * column).floor().int().tolist()) == list(range(50)) for column in place.T)
    assert not torch.equal(place[:, 0].argsort(), place[:, 1].argsort())
    many = Conditioning(0.1, 4.0, 2).draw(2000, LiveNoise(1))
    assert abs(float(torch.corrcoef(many.T)[0, 1])) < 4 / math.sqrt(2000)


def test_a_model_is_used_at_one_or_at_the_nearest_beta_until_told_otherwise() -> None:
    assert Conditioning(0.1, 4.0, 1).betas == pytest.approx((1.0,))
    assert Conditioning(2.0, 4.0, 2).betas == pytest.approx((2.0, 2.0))
    some = Conditioning(0.1, 4.0, 2)
    with some.used_at([0.5, 4.0]):
        assert some.betas == pytest.approx((0.5, 4.0))
    assert some.betas == pytest.approx((1.0, 1.0))
    assert some.spread(3) == [0.1, 0.632, 4.0]


def test_gates_meet_their_examples_whatever_the_leading_axes() -> None:
    gate = torch.tensor([[1.0], [2.0]])
    assert beside(gate, torch.ones(2, 1), 0).tolist() == [[1.0], [2.0]]
    assert (torch.ones(3, 2, 1) * beside(gate, torch.ones(3, 2, 1), 0))[2, :, 0].tolist() == [1.0, 2.0]
    flattened = torch.ones(3, 2, 1, 4, 4).flatten(0, 1)  # as networks of images see K samples of B examples
    assert (flattened * beside(gate, flattened, 2))[:, 0, 0, 0].tolist() == [1.0, 2.0] * 3


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("case", ["vae", "hierarchy", "gated", "conv"])
def test_an_example_with_a_beta_of_its_own_is_seen_as_by_the_model_at_that_beta(case: str, samples: int) -> None:
    node, dataset = conv() if case == "conv" else ({"vae": VAE, "hierarchy": HIERARCHY, "gated": GATED}[case], data())
    model = built(node, dataset)
    assert model.conditioning is not None
    betas = torch.tensor([[0.1, 3.0], [1.0, 0.5], [4.0, 2.0]])[:, : len(model.latent_shapes)]
    x = torch.as_tensor(dataset.train.x[:3]).float()
    mixed = model(Batch(x, condition=betas.log()), MODE, samples)
    for i, own in enumerate(betas.tolist()):
        with model.conditioning.used_at(own):
            alone = model(Batch(x), MODE, samples)
        torch.testing.assert_close(mixed.distortion[:, i], alone.distortion[:, i], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(mixed.closed_rates[..., i], alone.closed_rates[..., i], atol=1e-4, rtol=1e-4)
    rates = mixed.closed_rates.sum((0, 1))
    assert rates.unique().numel() == 3


def test_all_that_a_model_does_goes_by_the_beta_it_is_used_at() -> None:
    model = built(HIERARCHY)
    assert model.conditioning is not None
    z = (torch.ones(4, 2), torch.ones(4, 3))
    x = torch.zeros(4, 1, 4, 4)
    seen = []
    for beta in (0.1, 4.0):
        with model.conditioning.used_at([beta]):
            scored = model.log_joint(x, tuple(part.unsqueeze(0) for part in z))
            seen.append((model.decode(z), scored, model.generate(4, LiveNoise(0)).distortion))
    assert all(not torch.allclose(a, b) for a, b in zip(*seen, strict=True))


def test_every_example_pays_for_its_rates_by_its_own_betas() -> None:
    model = built(HIERARCHY)
    objective = OBJECTIVES.build({"name": "beta"}, Setting(model.event_shape, model.latent_shapes, 4, 57))
    betas = torch.tensor([[0.1, 3.0], [1.0, 0.5], [4.0, 2.0]])
    x = torch.as_tensor(data().train.x[:3]).float()
    seen = model(Batch(x, condition=betas.log()), LiveNoise(0), 2)
    total = objective.loss(seen, {}).total
    each = seen.distortion.mean(0) + (betas.T * seen.closed_rates.mean(1)).sum(0)
    assert total.item() == pytest.approx(each.mean().item(), rel=1e-5)
    risen = OBJECTIVES.build({"name": "beta", "annealing": 4.0}, Setting(model.event_shape, model.latent_shapes, 4, 57))
    half = model(Batch(x, condition=betas.log(), epoch=2.0), LiveNoise(0), 2)
    each = half.distortion.mean(0) + 0.5 * (betas.T * half.closed_rates.mean(1)).sum(0)
    assert risen.loss(half, {}).total.item() == pytest.approx(each.mean().item(), rel=1e-5)


def test_a_conditioned_training_goes_on_bit_for_bit() -> None:
    whole = finish(trainer())
    first, second = trainer(), trainer()
    rows = [first.run_epoch(), first.run_epoch()]
    second.restore(first.save())
    rows += [second.run_epoch(), second.run_epoch()]
    assert [{k: v for k, v in row.items() if k != "seconds"} for row in rows] == whole


def test_weights_of_a_conditioned_model_come_back() -> None:
    one = trainer()
    one.run_epoch()
    tensors, _ = checkpoint.from_bytes(one.weights(), "weights")
    assert "conditioned.gates.last.weight" in tensors
    assert not [name for name in tensors if name.endswith(".at")]
    assert refusal(one) is not None


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"conditioning": {"name": "beta", "range": [1.0, 1.0]}}, "holds no range"),
        ({"conditioning": {"name": "beta", "range": [4.0, 0.1]}}, "holds no range"),
        ({"conditioning": {"name": "beta", "range": [-1.0, 4.0]}}, "greater than 0"),
        ({"conditioning": {"name": "beta", "range": [1.0]}}, "range"),
        ({"conditioning": {"name": "beta", "reach": 1}}, "unknown key 'reach'"),
        ({"conditioning": "rate"}, "unknown conditioning 'rate'"),
        ({"decoder": {"name": "bernoulli", "network": {"name": "custom", "code": "torch.nn:Identity"}}}, "of your own"),
        ({"decoder": {"name": "gaussian", "network": MLP}}, "learns one scale"),
        ({"decoder": {"name": "pixelcnn++", "features": 2, "layers": 1}}, "autoregressive"),
        ({"marginal": {"name": "vamp", "pseudo_inputs": 5}}, "'vamp'"),
        ({"encoder": {"name": "deterministic", "network": MLP}}, "no density"),
    ],
)
def test_what_cannot_be_conditioned_is_said_in_one_line(change: dict[str, Any], wanted: str) -> None:
    real = change.get("decoder", {}).get("name") == "gaussian"
    x = np.random.default_rng(0).random((30, 1, 4, 4)).astype(np.float32)
    dataset = Dataset("grey", Support.UNIT, Split(x), Split(x), Split(x)) if real else data()
    if change.get("decoder", {}).get("network", {}).get("name") == "custom":
        x = (x.reshape(30, 16) < 0.3).astype(np.uint8)
        dataset = Dataset("rows", Support.BINARY, Split(x), Split(x), Split(x))
        change = {**change, "latent_dim": 16}
    with pytest.raises(UserError, match="model") as error:
        MODELS.build(MODELS.resolve({**VAE, **change}, "model"), dataset)
    assert wanted in str(error.value)
    assert "\n" not in str(error.value)


def test_a_beta_that_the_model_was_not_trained_for_is_refused() -> None:
    model = built(HIERARCHY)
    assert model.conditioning is not None
    for betas, wanted in (([8.0], "outside [0.1, 4]"), ([0.5, 0.01], "outside"), ([1.0, 1.0, 1.0], "3 values")):
        with pytest.raises(UserError, match="beta") as error:
            model.conditioning.use(betas)
        assert wanted in str(error.value)
    assert model.conditioning.betas == pytest.approx((1.0, 1.0))


def test_only_an_objective_that_weighs_rates_serves_a_conditioned_model() -> None:
    with pytest.raises(UserError, match="use objective 'beta'"):
        trainer(objective="elbo")
    with pytest.raises(UserError, match="leave this at 1"):
        trainer(objective={"name": "beta", "beta": 0.5})


@pytest.mark.parametrize(
    ("recipe", "wanted"),
    [
        (
            {"model": {"name": "toy", "conditioning": "beta"}},
            "model 'toy' cannot be conditioned on beta; these can: vae, hierarchy",
        ),
        ({"model": "vae", "evaluation": {"betas": [0.5]}}, "the model is of one beta"),
        ({"model": {"name": "vae", "conditioning": "beta"}, "evaluation": {"betas": [-0.5]}}, "evaluation.betas"),
    ],
)
def test_a_recipe_that_asks_for_betas_in_vain_is_refused(recipe: dict[str, Any], wanted: str) -> None:
    with pytest.raises(UserError) as error:
        resolve({"data": "digits", **recipe})
    assert wanted in str(error.value)

"""Variants of the two-layer networks: a categorical top layer that cools, a vector for z_1, maps of latents throughout."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.core.objective import Setting
from ratelab.distributions.one_hot import OneHot
from ratelab.models import MODELS
from ratelab.networks import RENDERERS
from ratelab.objectives import OBJECTIVES
from ratelab.runs import expand, read_recipe
from ratelab.training import OPTIMISERS, Plan, Trainer
from ratelab.training.stack import StackTrainer


def images(channels: int = 1, side: int = 8, support: Support = Support.BINARY, n: int = 12) -> Dataset:
    top = 2 if support is Support.BINARY else 256
    x = np.random.default_rng(0).integers(0, top, (n, channels, side, side), dtype=np.uint8)
    return Dataset("images", support, Split(x), Split(x[:4]), Split(x[:4]))


def build(node: dict[str, Any], dataset: Dataset) -> Any:
    torch.manual_seed(0)
    return MODELS.build(MODELS.resolve(node, "model"), dataset)


def batch_of(dataset: Dataset, n: int = 3) -> Batch:
    return Batch(torch.as_tensor(dataset.train.x[:n]).float() * dataset.scale)


def shipped(recipe: str, dataset: Dataset) -> Any:
    torch.manual_seed(0)
    return MODELS.build(expand(read_recipe(f"xiao2023/{recipe}"), [])[0].model, dataset)


@pytest.mark.spec("HV08")
@pytest.mark.parametrize(("channels", "side", "support", "decoder"), [
    (3, 32, Support.LEVELS, {"name": "gaussian", "network": "maps", "sigma": 0.71}),
    (1, 28, Support.BINARY, {"name": "bernoulli", "network": "maps"}),
])  # fmt: skip
def test_maps_of_192_channels_go_forward_and_back(channels: int, side: int, support: Support, decoder: dict[str, Any]) -> None:
    dataset = images(channels, side, support)
    model = build({"name": "convolutional", "decoder": decoder}, dataset)
    assert model.latent_shapes == ((192, 2, 2), (192, 4, 4))
    convolutions = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))]
    heads = [m for m in convolutions if m.kernel_size == (3, 3)]
    assert {m.kernel_size for m in convolutions} == {(5, 5), (3, 3)}
    assert {m.out_channels for m in heads} == {2 * 192}
    assert len(heads) == 3  # q(z_2|x), q(z_1|z_2,x), p(z_1|z_2)
    assert {m.out_channels for m in convolutions if m not in heads} == {192, channels}
    seen = model(batch_of(dataset, 2), LiveNoise(0))
    assert [tuple(layer.z.shape) for layer in seen.layers] == [(1, 2, 192, 2, 2), (1, 2, 192, 4, 4)]
    assert seen.rates.shape == (2, 1, 2)
    (seen.mean(seen.distortion) + seen.mean(seen.closed_rate)).backward()
    assert all(p.grad is not None and bool((p.grad != 0).any()) for p in model.parameters())
    with torch.no_grad():
        drawn = model.generate(2, LiveNoise(0))
    assert drawn.target.shape == (2, *dataset.event_shape)


@pytest.mark.spec("HV08")
def test_each_map_is_told_of_x_and_of_every_map_above() -> None:
    dataset = images(side=28)
    model = build({"name": "convolutional", "latent_channels": [2, 3, 4], "width": 5}, dataset)
    assert model.latent_shapes == ((2, 1, 1), (3, 2, 2), (4, 4, 4))
    x = batch_of(dataset).x
    above = (torch.randn(2, 3, 2, 1, 1), torch.randn(2, 3, 3, 2, 2))
    lowest, prior = model.inference.encoders[2], model.conditionals[1]
    law = lowest(x, above)
    assert law.loc.shape == (2, 3, 4, 4, 4)
    for changed in (lowest(1 - x, above), lowest(x, (-above[0], above[1])), lowest(x, (above[0], -above[1]))):
        assert not torch.allclose(changed.loc, law.loc)
    assert prior(above).loc.shape == (2, 3, 4, 4, 4)
    assert not torch.allclose(prior((-above[0], above[1])).loc, prior(above).loc)
    one = lowest(x, tuple(z[1:] for z in above))
    assert torch.allclose(one.loc[0], law.loc[1], atol=1e-6)


def test_maps_take_images_of_any_sides_and_a_vector_of_latents() -> None:
    x = np.zeros((4, 1, 9, 20), dtype=np.uint8)
    dataset = Dataset("images", Support.BINARY, Split(x), Split(x), Split(x))
    model = build({"name": "convolutional", "latent_channels": [2, 3], "width": 4}, dataset)
    assert model.latent_shapes == ((2, 1, 2), (3, 2, 3))
    assert model.generate(2, LiveNoise(0)).target.shape == (2, 1, 9, 20)
    renderer = RENDERERS.build(RENDERERS.resolve({"name": "maps", "width": 4}, "n"), (5,), (1, 9, 20))
    assert renderer(torch.zeros(3, 2, 5)).shape == (3, 2, 1, 9, 20)
    with pytest.raises(UserError, match=r"a map of \(2, 3\) here, not latents of shape \(3, 4, 4\)"):
        RENDERERS.build(RENDERERS.resolve("maps", "n"), (3, 4, 4), (1, 9, 20))
    table = np.zeros((4, 5), dtype=np.uint8)
    with pytest.raises(UserError, match="take images"):
        build({"name": "convolutional"}, Dataset("table", Support.BINARY, Split(table), Split(table), Split(table)))


CATEGORICAL = {"name": "categorical", "states": 6}
COOLING = {**CATEGORICAL, "temperature": 1.0, "cooling": 0.3, "coolest": 0.4, "network": {"name": "mlp", "hidden": [8]}}


def one_of_six(**top: Any) -> dict[str, Any]:
    return {"name": "xiao2023", "latent_dim": 6, "width": 4, "top": {**COOLING, **top}, "marginal": CATEGORICAL}


def trainer(node: dict[str, Any], dataset: Dataset, epochs: int = 5, beta: float = 1.0) -> Trainer:
    model = build(node, dataset)
    objective = OBJECTIVES.build(
        {"name": "beta", "beta": (beta, 1.0)}, Setting(model.event_shape, model.latent_shapes, epochs, 12)
    )
    plan = Plan(epochs=epochs, batch_size=5, validate_every=epochs)
    return Trainer(model, objective, dataset, OPTIMISERS.resolve("adam", "optimiser"), plan, seed=0)


@pytest.mark.spec("HV09")
def test_the_top_rate_is_the_divergence_from_the_uniform_law_and_draws_are_hard_in_evaluation() -> None:
    dataset = images(side=28)
    model = shipped("mnist-categorical", dataset)
    assert model.latent_shapes == ((20,), (16, 4, 4))
    batch = batch_of(dataset)
    soft = model(batch, LiveNoise(0), 2)
    assert not ((soft.layers[0].z == 0) | (soft.layers[0].z == 1)).all()
    assert torch.allclose(soft.layers[0].z.sum(-1), torch.ones(2, 3))
    model.eval()
    seen = model(batch, LiveNoise(0), 2)
    law = seen.layers[0].encoder
    assert isinstance(law, OneHot)
    assert (law.groups, law.states) == (1, 20)
    q = law.log_probs.exp()
    entropy = -(q * law.log_probs).sum((-2, -1))
    assert torch.allclose(seen.closed_rates[0], (math.log(20) - entropy).expand(2, 3), atol=1e-6)
    z = seen.layers[0].z
    assert ((z == 0) | (z == 1)).all()
    assert torch.equal(z.sum(-1), torch.ones(2, 3))
    assert torch.allclose(seen.rates[0], (20 * (z * q.flatten(-2)).sum(-1)).log(), atol=1e-5)
    assert seen.closed_rates.shape == (2, 2, 3)


@pytest.mark.spec("HV09")
def test_the_temperature_falls_with_the_epochs_to_its_floor() -> None:
    top = shipped("mnist-categorical", images(side=28)).inference.encoders[0]
    for epoch in (0, 1, 50, 130, 131, 199):
        top.pace(epoch)
        assert float(top.temperature) == pytest.approx(max(math.exp(-0.007 * epoch), 0.4))
    dataset = images()
    run, used = trainer(one_of_six(), dataset), []
    encoder: Any = run.model.inference.encoders[0]
    while not run.done:
        if run.epoch == 2:
            half = run.save()
        run.run_epoch()
        used.append(float(encoder.temperature))
    assert used == pytest.approx([max(math.exp(-0.3 * e), 0.4) for e in range(5)])
    assert used[-1] == pytest.approx(0.4)
    again = trainer(one_of_six(), dataset)
    again.restore(half)
    again.run_epoch()
    assert float(again.model.inference.encoders[0].temperature) == pytest.approx(math.exp(-0.6))  # type: ignore[union-attr, index]
    while not again.done:
        again.run_epoch()
    assert all(torch.equal(v, again.model.state_dict()[k]) for k, v in run.model.state_dict().items())


@pytest.mark.spec("HV09")
def test_a_colder_draw_lies_nearer_to_a_corner() -> None:
    dataset = images(n=60)
    model = build(one_of_six(), dataset)
    encoder = model.inference.encoders[0]
    largest = []
    for epoch in (0, 2, 10):
        encoder.pace(epoch)
        largest.append(model(batch_of(dataset, 60), LiveNoise(0), 4).layers[0].z.amax(-1).mean().item())
    assert largest[0] < largest[1] < largest[2]


def test_a_stack_cools_as_its_members_would_alone() -> None:
    dataset = images()
    alone = {beta: trainer(one_of_six(), dataset, epochs=3, beta=beta) for beta in (0.5, 2.0)}
    stack = StackTrainer({str(beta): trainer(one_of_six(), dataset, epochs=3, beta=beta) for beta in alone})
    members = dict(stack.members)
    while not stack.done:
        stack.run_epoch()
    for beta, run in alone.items():
        while not run.done:
            run.run_epoch()
        together = members[str(beta)].model.state_dict()
        assert all(torch.allclose(v, together[k], atol=2e-4) for k, v in run.model.state_dict().items())


def test_a_vector_for_the_lower_layer_keeps_the_networks_and_their_heads() -> None:
    dataset = images(side=28)
    for inference in ("top-down", "ladder"):
        model = build({"name": "xiao2023", "vector": 10, "inference": inference}, dataset)
        assert model.latent_shapes == ((20,), (10,))
        seen = model(batch_of(dataset), LiveNoise(0), 2)
        assert seen.layers[1].z.shape == (2, 3, 10)
        assert seen.closed_rates.shape == (2, 2, 3)
        assert model.generate(2, LiveNoise(0)).target.shape == (2, 1, 28, 28)


@pytest.mark.parametrize(("node", "message"), [
    ({**one_of_six(), "inference": "ladder"}, "model.top: a ladder has one path for both layers"),
    ({**one_of_six(), "marginal": "normal"}, "goes with the marginal 'categorical'"),
    ({**one_of_six(), "marginal": {"name": "categorical", "states": 3}}, "3 states where the encoder has 6"),
    (one_of_six(states=4), "groups of 4 states do not fill latent_dim 6"),
    (one_of_six(coolest=1.5), "coolest: 1.5 is no less than the temperature 1"),
    ({"name": "hierarchy", "latent_dim": [6, 6], "encoder": CATEGORICAL, "marginal": CATEGORICAL}, "are those of the top layer alone"),
    ({"name": "hierarchy", "inference": "ladder", "top": "gaussian"}, "model.top: with inference 'ladder' one path makes all layers"),
])  # fmt: skip
def test_wirings_that_cannot_be_are_refused(node: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(node, images())

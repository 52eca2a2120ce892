"""The networks of Xiao and Bamler 2023, layer by layer: parts, totals, shapes, and what they refuse."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ratelab.core.batch import Batch, LiveNoise, ModeNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.decoders import DECODERS
from ratelab.models import MODELS
from ratelab.models.xiao2023 import Xiao2023
from ratelab.networks import RENDERERS
from ratelab.networks.transposed import Deconv
from ratelab.runs import expand, read_recipe


def images(channels: int, side: int, support: Support = Support.LEVELS) -> Dataset:
    top = 2 if support is Support.BINARY else 256
    x = np.random.default_rng(0).integers(0, top, (12, channels, side, side), dtype=np.uint8)
    return Dataset("images", support, Split(x), Split(x[:4]), Split(x[:4]))


def shipped(recipe: str, dataset: Dataset) -> Xiao2023:
    """The model of a recipe that ships."""
    torch.manual_seed(0)
    model: Xiao2023 = MODELS.build(expand(read_recipe(recipe), [])[0].model, dataset)
    return model


MNIST = images(1, 28, Support.BINARY)
COLOUR = images(3, 32)


def count(*parts: nn.Module) -> int:
    return sum(p.numel() for part in parts for p in part.parameters())


def sides(network: Iterable[nn.Module], x: torch.Tensor) -> list[tuple[int, ...]]:
    """The shapes behind every layer with weights."""
    found = []
    for layer in network:
        x = layer(x)
        found.append(tuple(x.shape[1:]))
    return found


def parts(model: Xiao2023) -> list[int]:
    """Parameters of q(z_2|x), q(z_1|z_2,x), p(z_1|z_2), p(x|z_1)."""
    inference: Any = model.inference
    encoders = inference.encoders if hasattr(inference, "encoders") else None
    upper, lower = encoders or (nn.ModuleList([*inference.steps, inference.heads[0]]), inference.heads[1])
    return [count(upper), count(lower), count(model.conditionals), count(model.decoder)]


@pytest.mark.spec("HV06")
def test_the_mnist_network_has_the_papers_parts() -> None:
    model = shipped("xiao2023/mnist", MNIST)
    assert parts(model) == [18_776, 26_720, 68_736, 8_481]
    assert count(model) == 122_713
    assert model.latent_shapes == ((20,), (16, 4, 4))


@pytest.mark.spec("HV05")
@pytest.mark.parametrize("recipe", ["xiao2023/cifar-10", "xiao2023/svhn"])
def test_the_colour_network_has_the_papers_parts(recipe: str) -> None:
    model = shipped(recipe, COLOUR)
    assert parts(model) == [67_232, 102_592, 271_616, 34_371]
    assert count(model) == 475_811
    assert model.latent_shapes == ((32,), (32, 4, 4))


@pytest.mark.spec("HV07")
def test_the_ladder_network_has_the_papers_parts() -> None:
    model = shipped("xiao2023/lvae-svhn", COLOUR)
    assert parts(model) == [67_232, 34_912, 271_616, 34_371]
    assert count(model) == 408_131


@pytest.mark.spec("HV05", "HV06")
@pytest.mark.parametrize(("dataset", "recipe", "way"), [(MNIST, "mnist", (14, 7, 4)), (COLOUR, "cifar-10", (16, 8, 4))])
def test_every_path_goes_through_the_papers_sizes(dataset: Dataset, recipe: str, way: tuple[int, ...]) -> None:
    model = shipped(f"xiao2023/{recipe}", dataset)
    x = torch.zeros(2, *dataset.event_shape)
    width = model.latent_shapes[1][0]
    upper: Any = model.inference.encoders[0].network  # type: ignore[union-attr]
    joint: Any = model.inference.encoders[1].joint  # type: ignore[union-attr]
    first, second, middle = ((width, side, side) for side in way)
    assert sides([*upper.quarter, upper.middle], x) == [first, second, middle]
    assert sides(joint.quarter, x) == [first, second]
    assert sides([joint.enter, joint.grow], torch.zeros(2, model.latent_shapes[0][0])) == [middle, second]
    assert sides([joint.mix], torch.zeros(2, 2 * width, way[1], way[1])) == [middle]
    renderer: Any = model.decoder.network
    assert sides(renderer.layers, torch.zeros(2, *middle)) == [second, first, tuple(dataset.event_shape)]
    assert not isinstance(renderer.layers[-1], nn.Sequential)  # nothing behind the last transposed convolution


@pytest.mark.parametrize(("dataset", "recipe"), [(MNIST, "mnist"), (COLOUR, "cifar-10"), (COLOUR, "lvae-svhn")])
def test_passes_have_two_rates_for_any_number_of_samples(dataset: Dataset, recipe: str) -> None:
    model = shipped(f"xiao2023/{recipe}", dataset)
    x = torch.as_tensor(dataset.train.x[:3]).float() * dataset.scale
    seen = model(Batch(x), LiveNoise(0), 2)
    assert seen.rates.shape == (2, 2, 3)
    assert (seen.per_example(seen.closed_rates) > 0).all()
    drawn = model.generate(5, LiveNoise(0))
    assert drawn.target.shape == (5, *dataset.event_shape)
    assert model.decode(tuple(layer.z for layer in drawn.layers)).shape == (1, 5, *dataset.event_shape)


@pytest.mark.spec("HV05")
def test_the_lower_layer_sees_the_upper_one_and_its_spread_is_a_softplus() -> None:
    model = shipped("xiao2023/mnist", MNIST)
    lower: Any = model.inference.encoders[1]  # type: ignore[union-attr]
    x = torch.as_tensor(MNIST.train.x[:3]).float()
    z = torch.randn(2, 3, 20)
    law = lower(x, (z,))
    assert law.loc.shape == (2, 3, 16, 4, 4)
    assert not torch.allclose(law.loc[0], law.loc[1])
    raw = lower.head.out(lower.joint(x, z)[0])[:, 16:]
    assert torch.allclose(law.scale[0], nn.functional.softplus(raw))


def test_channels_last_changes_no_number() -> None:
    model = shipped("xiao2023/mnist", MNIST).double()
    x = torch.as_tensor(MNIST.train.x[:3]).double()
    plain = model(Batch(x), ModeNoise(dtype=torch.float64))
    before, rates = plain.distortion, plain.rates
    model.to(memory_format=torch.channels_last)
    after = model(Batch(x.to(memory_format=torch.channels_last)), ModeNoise(dtype=torch.float64))
    assert torch.allclose(before, after.distortion)
    assert torch.allclose(rates, after.rates)


def test_a_head_for_the_mixture_of_logistics_lies_behind_the_last_transposed_convolution() -> None:
    network: Any = RENDERERS.build(RENDERERS.resolve({"name": "xiao2023", "head": 128}, "n"), (32, 4, 4), (100, 32, 32))
    last = network.layers[-1]
    assert [type(layer) for layer in last] == [Deconv, nn.ReLU, nn.Conv2d]
    assert (last[0].out_channels, last[2].out_channels, last[2].kernel_size) == (128, 100, (3, 3))
    assert network(torch.zeros(2, 5, 32, 4, 4)).shape == (2, 5, 100, 32, 32)


@pytest.mark.parametrize("shape", [(1, 30, 30), (1, 28, 20), (784,), (1, 12, 12), (1, 4, 4), ()])
def test_images_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    x = np.zeros((4, *shape), dtype=np.uint8)
    dataset = Dataset("images", Support.BINARY, Split(x), Split(x), Split(x))
    with pytest.raises(UserError, match="takes square images"):
        MODELS.build(MODELS.resolve("xiao2023", "model"), dataset)


def test_a_marginal_of_one_hot_latents_is_refused() -> None:
    node = {"name": "xiao2023", "latent_dim": 16, "marginal": "categorical"}
    with pytest.raises(UserError, match="scores one-hot latents"):
        MODELS.build(MODELS.resolve(node, "model"), MNIST)


@pytest.mark.spec("HV42", "HV43")
@pytest.mark.parametrize("name", ["mnist-grid", "cifar-10-grid", "svhn-grid", "lvae-svhn-grid"])
def test_the_grid_has_441_models_with_both_baselines_among_them(name: str) -> None:
    betas = [tuple(recipe.objective["beta"]) for recipe in expand(read_recipe(f"xiao2023/{name}"))]
    axis = [float(f"{10 ** (-1 + k / 10):.6g}") for k in range(21)]
    assert sorted(betas) == sorted((upper, lower) for upper in axis for lower in axis)
    assert (1.0, 1.0) in betas
    assert sum(upper == lower for upper, lower in betas) == 21


def test_a_smaller_grid_of_the_small_tier_is_typed_layer_by_layer() -> None:
    sweep = ["objective.beta.0=log:0.1:10:5", "objective.beta.1=log:0.1:10:5"]
    runs = expand(read_recipe("xiao2023/mnist-grid@small"), sweep)
    assert len(runs) == 25
    assert {(run.training.epochs, run.data["limit"]) for run in runs} == {(20, 10_000)}


@pytest.mark.spec("HV11")
def test_the_best_learned_sigma_is_the_root_mean_squared_error_above_a_soft_floor() -> None:
    node = {"name": "gaussian", "network": {"name": "mlp", "hidden": [4]}, "sigma": "learned"}
    decoder = DECODERS.build(DECODERS.resolve(node, "d"), (2,), (5,)).double()
    stream = torch.Generator().manual_seed(0)
    z, x = (torch.randn(200, d, dtype=torch.float64, generator=stream) for d in (2, 5))
    mse = (x - decoder.network(z)).square().mean().detach()

    def distortion(log_sigma: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():  # the inverse of log sigma = -6 + softplus(raw + 6)
            decoder.raw.copy_(torch.log(torch.expm1(log_sigma + 6)) - 6)
        return -decoder(z).log_prob(x).mean()

    best = distortion(0.5 * mse.log())
    assert torch.allclose(decoder.log_sigma, 0.5 * mse.log())
    (slope,) = torch.autograd.grad(best, decoder.raw)
    assert slope.abs() < 1e-9
    assert best < min(distortion(0.5 * mse.log() + shift) for shift in (-0.1, 0.1))
    with torch.no_grad():
        decoder.raw.fill_(-80.0)
    assert decoder.log_sigma.item() == pytest.approx(-6.0, abs=1e-9)

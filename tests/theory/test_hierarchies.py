"""Hierarchies on models whose answer is known: merges, layer rates, orders of inference, and what a price per layer does."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from linear_hierarchy import WORLD, linear_hierarchy
from torch import Tensor, nn

from ratelab.core.batch import Batch, LiveNoise, ModeNoise, ReplayedNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.core.objective import Setting
from ratelab.core.passes import Pass
from ratelab.distributions.gaussians import DiagonalGaussian, StandardNormal, merged
from ratelab.exact.hierarchy import TopDown as Exact
from ratelab.models import MODELS
from ratelab.models.top_down import TopDown
from ratelab.objectives import OBJECTIVES

SMALL = {"name": "mlp", "hidden": [6], "activation": "tanh"}


def linear_model(seed: int = 0) -> TopDown:
    """The linear-Gaussian hierarchy with inference to be learned from a random start."""
    w, std2, h, g, std1 = torch.randn(5, generator=torch.Generator().manual_seed(seed), dtype=torch.float32).double()
    return linear_hierarchy(Exact(w, std2.exp(), g, h, std1.exp()), learned=True)


def expectation(model: Model) -> Pass:
    """A pass whose means are exact expectations: everything is quadratic in x and in the draws, so two values of each suffice."""
    x = torch.tensor([[-1.0], [1.0]], dtype=torch.float64) * math.sqrt(WORLD.data_variance)
    signs = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=2)), dtype=torch.float64)  # (K, 2)
    draws = [signs[:, i].view(4, 1, 1).expand(4, 2, 1) for i in range(2)]
    return model(Batch(x), ReplayedNoise(draws), 4)


def trained(beta: list[float], seed: int = 0) -> Pass:
    model = linear_model(seed)
    node = OBJECTIVES.resolve({"name": "beta", "beta": beta}, "objective")
    objective = OBJECTIVES.build(node, Setting((1,), model.latent_shapes, 1.0, 2))
    learner = torch.optim.LBFGS(
        list(model.group("inference")), max_iter=60, line_search_fn="strong_wolfe", tolerance_grad=1e-10
    )

    def closure() -> Tensor:
        learner.zero_grad()
        loss: Tensor = objective.loss(expectation(model), {}).total
        loss.backward()
        return loss

    learner.step(closure)  # type: ignore[no-untyped-call]
    return expectation(model)


@pytest.mark.spec("HV13", "HV14")
@pytest.mark.parametrize("seed", range(2))
def test_training_the_inference_alone_finds_the_closed_form_rates_of_both_layers(seed: int) -> None:
    seen = trained([1.0, 1.0], seed)
    rates, distortion = seen.mean(seen.closed_rates), seen.mean(seen.distortion)
    assert rates.tolist() == pytest.approx([0.293893, 0.804719], abs=1e-3)
    assert (distortion + rates.sum()).item() == pytest.approx(1.824404, abs=1e-3)


@pytest.mark.spec("HV13")
def test_layer_rates_of_a_pass_are_the_exact_ones_for_any_inference() -> None:
    for seed in range(5):
        model = linear_model(seed)
        encoders: Any = model.inference.encoders  # type: ignore[union-attr]
        (w, s2), (h, g, s1) = (line.values.detach() for line in encoders)
        measured = WORLD.measure(Exact(w, s2.exp(), g, h, s1.exp()))
        seen = expectation(model)
        assert torch.allclose(seen.mean(seen.closed_rates), measured.rates)
        assert torch.allclose(seen.mean(seen.distortion), measured.distortion)
        assert (seen.per_example(seen.closed_rates) >= 0).all()


@pytest.mark.spec("HV16")
def test_a_high_price_empties_its_layer_and_only_that() -> None:
    upper, lower = (trained(beta).closed_rates.mean((-2, -1)) for beta in ([1e4, 1.0], [1.0, 1e4]))
    assert upper[0] < 1e-4 < 0.5 < upper[1]
    assert lower[1] < 1e-4


@pytest.mark.spec("HV16")
def test_the_slope_of_the_loss_in_a_price_is_that_layers_rate_and_equal_prices_are_one() -> None:
    seen = expectation(linear_model())
    setting = Setting((1,), ((1,), (1,)), 1.0, 2)
    objective = OBJECTIVES.build(OBJECTIVES.resolve({"name": "beta", "beta": [0.5, 2.0]}, "o"), setting)
    objective.beta.requires_grad_()
    (slope,) = torch.autograd.grad(objective.loss(seen, {}).total, objective.beta)
    assert torch.allclose(slope.double(), seen.mean(seen.closed_rates))
    one, both = (
        OBJECTIVES.build(OBJECTIVES.resolve({"name": "beta", "beta": beta}, "o"), setting) for beta in (3.0, [3.0, 3.0])
    )
    expected = seen.mean(seen.distortion) + 3 * seen.mean(seen.closed_rate)
    assert torch.allclose(one.loss(seen, {}).total, expected)
    assert torch.allclose(both.loss(seen, {}).total, expected)


@pytest.mark.spec("VF06", "HV04")
def test_a_merge_adds_precisions_and_is_the_exact_posterior_of_the_linear_hierarchy() -> None:
    z2, x = torch.randn(2, 40, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    variance = torch.tensor(WORLD.s0**2 / WORLD.b**2, dtype=torch.float64)
    prior = DiagonalGaussian(WORLD.a * z2, scale=torch.full_like(z2, WORLD.s1))
    q = merged(prior, DiagonalGaussian(x / WORLD.b, log_scale=0.5 * variance.log()))
    mean, std = WORLD.posterior.bottom(z2, x)
    assert torch.allclose(q.loc, mean)
    assert torch.allclose(q.scale.expand(40, 1), std.expand(40, 1))
    assert torch.allclose(q.scale**-2, prior.scale**-2 + 1 / variance)


@pytest.mark.spec("HV04")
def test_a_merge_with_nothing_is_the_prior_and_is_never_wider_than_either() -> None:
    stream = torch.Generator().manual_seed(1)
    loc, told, log_scale, log_told = torch.randn(4, 50, 3, generator=stream)
    prior = DiagonalGaussian(loc, log_scale=log_scale)
    q = merged(prior, DiagonalGaussian(told, log_scale=3 * log_told))
    assert (q.scale <= torch.minimum(prior.scale, (3 * log_told).exp()) * (1 + 1e-6)).all()
    ignorant = merged(prior, DiagonalGaussian(told, log_scale=torch.full_like(told, torch.inf)))
    assert torch.equal(ignorant.loc, prior.loc)
    assert torch.allclose(ignorant.scale, prior.scale)
    sure = merged(prior, DiagonalGaussian(told, log_scale=torch.full_like(told, -40.0)))
    assert torch.allclose(sure.loc, told)
    assert torch.allclose(merged(StandardNormal((3,), loc), prior).loc, loc / (1 + prior.scale**2), atol=1e-6)
    with pytest.raises(TypeError, match="merge in closed form"):
        merged(prior, merged_with_a_mixture())


def merged_with_a_mixture() -> Any:
    from ratelab.distributions.mixtures import GaussianMixture

    parts = DiagonalGaussian(torch.zeros(2, 3), log_scale=torch.zeros(2, 3))
    return GaussianMixture(torch.zeros(2), parts)


def pixels() -> Dataset:
    x = (np.random.default_rng(0).random((40, 1, 8, 8)) < 0.3).astype(np.uint8)
    return Dataset("bits", Support.BINARY, Split(x), Split(x[:9]), Split(x[:9]))


def built(node: dict[str, Any]) -> tuple[Any, Tensor]:
    torch.manual_seed(0)
    dataset = pixels()
    node = node if node["name"] == "xiao2023" else {"decoder": {"name": "bernoulli", "network": SMALL}, **node}
    x = torch.as_tensor(dataset.train.x[:5]).double()
    return MODELS.build(MODELS.resolve(node, "model"), dataset).double(), x


@pytest.mark.spec("HV04")
@pytest.mark.parametrize("node", [
    {"name": "xiao2023", "latent_dim": 3, "width": 4, "inference": "ladder"},
    {"name": "hierarchy", "latent_dim": [2, 3], "inference": "ladder", "encoder": {"name": "gaussian", "network": SMALL}},
])  # fmt: skip
def test_where_a_ladder_is_told_nothing_its_lower_layer_costs_nothing(node: dict[str, Any]) -> None:
    model, x = built(node)
    noise = LiveNoise(0, dtype=torch.float64)
    assert (model(Batch(x), noise).closed_rates[1] > 1e-4).all()
    head = [m for m in model.inference.heads[1].modules() if isinstance(m, (nn.Linear, nn.Conv2d))][-1]
    with torch.no_grad():
        half = head.bias.shape[0] // 2
        head.bias[half:] = 1e8 if node["name"] == "xiao2023" else 30.0  # a variance as softplus, a log standard deviation
    rates = model(Batch(x), noise).closed_rates
    assert rates[1].abs().max() < 1e-5
    assert (rates[0] > 1e-4).all()


@pytest.mark.spec("HV03")
def test_inference_is_top_down_and_a_reconstruction_goes_through_all_layers() -> None:
    model, x = built({"name": "hierarchy", "latent_dim": [1, 2, 3], "encoder": {"name": "gaussian", "network": SMALL}})
    seen = model(Batch(x), LiveNoise(0, dtype=torch.float64), 3)
    z = [layer.z for layer in seen.layers]
    joint = sum(model.inference.encoders[i](x, tuple(z[:i])).log_prob(z[i]) for i in range(3))
    assert torch.allclose(joint, sum(layer.log_encoder for layer in seen.layers))
    for moved in range(3):  # moving what one layer says about x changes the reconstruction
        plain = model(Batch(x), ModeNoise(dtype=torch.float64)).decoder.mean
        encoder = model.inference.encoders[moved]
        keep = encoder.head.out.bias.detach().clone()
        with torch.no_grad():
            encoder.head.out.bias[: encoder.head.shape[0]] += 1.0
        changed = model(Batch(x), ModeNoise(dtype=torch.float64)).decoder.mean
        with torch.no_grad():
            encoder.head.out.bias.copy_(keep)
        assert not torch.allclose(plain, changed), moved


@pytest.mark.spec("HV03")
@pytest.mark.parametrize("inference", ["top-down", "ladder", "coupled"])
def test_eight_layers_train_with_binned_prices(inference: str) -> None:
    encoder = {"name": "gaussian", "network": SMALL, "joint": [6]}
    model, x = built({"name": "hierarchy", "latent_dim": [1, 1, 2, 2, 3, 3, 4, 4], "inference": inference, "encoder": encoder})
    node = OBJECTIVES.resolve({"name": "beta", "beta": [0.5, 1.0, 2.0], "bins": [2, 2, 4]}, "o")
    objective = OBJECTIVES.build(node, Setting(model.event_shape, model.latent_shapes, 1.0, 5))
    learner, noise = torch.optim.Adam(model.parameters(), 1e-2), LiveNoise(0, dtype=torch.float64)
    losses = []
    for _ in range(12):
        learner.zero_grad()
        seen = model(Batch(x), noise)
        loss = objective.loss(seen, {}).total
        loss.backward()
        learner.step()
        losses.append(loss.item())
    assert seen.rates.shape == (8, 1, 5)
    assert losses[-1] < losses[0] - 1


@pytest.mark.spec("VF05", "HV02")
@pytest.mark.parametrize("name", ["hierarchy", "bottom-up"])
def test_the_elbo_of_either_order_is_an_unbiased_estimate_of_its_enumerated_value(name: str) -> None:
    """Two layers of one latent each: every pair of latents on a fine grid against samples, and the total rate alike."""
    upper = {"upper": {"name": "gaussian", "network": SMALL}} if name == "bottom-up" else {}
    node = {"name": name, "latent_dim": [1, 1], "encoder": {"name": "gaussian", "network": SMALL}, **upper}
    model, x = built(node)
    grid = torch.linspace(-9, 9, 121, dtype=torch.float64)
    step = (grid[1] - grid[0]) ** 2
    z2, z1 = (g.reshape(-1, 1, 1).expand(-1, 5, 1) for g in torch.meshgrid(grid, grid, indexing="ij"))
    if name == "bottom-up":
        log_q = model.encoders[0](x).log_prob(z1) + model.encoders[1](z1).log_prob(z2)
    else:
        log_q = model.inference.encoders[0](x).log_prob(z2) + model.inference.encoders[1](x, (z2,)).log_prob(z1)
    mass = log_q.exp() * step
    assert torch.allclose(mass.sum(0), torch.ones(5, dtype=torch.float64), atol=1e-6)
    log_m = model.prior(0, ()).log_prob(z2) + model.prior(1, (z2,)).log_prob(z1)
    rate = (mass * (log_q - log_m)).sum(0)
    elbo = (mass * (model.log_joint(x, (z2, z1)) - log_q)).sum(0)
    with torch.no_grad():
        seen = model(Batch(x), LiveNoise(3, dtype=torch.float64), 5_000)
    assert seen.rates.shape[0] == (1 if name == "bottom-up" else 2)
    for samples, exact in ((seen.rate, rate), (-seen.rate - seen.distortion, elbo), (seen.closed_rate, rate)):
        error = samples.std(0) / samples.shape[0] ** 0.5
        assert ((samples.mean(0) - exact).abs() < 4 * error + 1e-5).all()


def test_one_layer_bottom_up_is_the_plain_vae_number_for_number() -> None:
    parts = {"encoder": {"name": "gaussian", "network": SMALL}, "decoder": {"name": "bernoulli", "network": SMALL}}
    plain, x = built({"name": "vae", "latent_dim": 3, **parts})
    other, _ = built({"name": "bottom-up", "latent_dim": [3], **parts})
    a, b = (model(Batch(x), LiveNoise(0, dtype=torch.float64), 2) for model in (plain, other))
    assert torch.equal(a.rates, b.rates)
    assert torch.equal(a.closed_rates, b.closed_rates)
    assert torch.equal(a.distortion, b.distortion)


def test_the_rate_of_an_auxiliary_variable_is_sampled_where_its_reverse_model_follows_z() -> None:
    """A closed form would set u and z free of each other."""
    small = {"name": "gaussian", "network": SMALL, "joint": []}
    node = {"name": "auxiliary", "latent_dim": 2, "auxiliary_dim": 1, "auxiliary": small, "encoder": small, "reverse": small}
    model, x = built(node)
    with torch.no_grad():
        model.reverse.head.out.weight[0, -2:] = 1.0  # the mean of r(u|x,z) follows z, which follows u
        model.encoder.head.out.weight[:2, -1] = 2.0
    with torch.no_grad():
        seen = model(Batch(x), LiveNoise(0, dtype=torch.float64), 5_000)
    difference = seen.rate - seen.closed_rate
    assert (difference.mean(0).abs() < 4 * difference.std(0) / 5_000**0.5 + 1e-9).all()


@pytest.mark.parametrize(("change", "message"), [
    ({"inference": "ladder", "encoder": "full-gaussian"}, "a ladder merges Gaussians"),
    ({"inference": "coupled", "marginal": "mixture"}, "merges with a diagonal Gaussian"),
    ({"inference": "sideways"}, "inference"),
    ({"inference": "ladder", "marginal": "categorical"}, "scores one-hot latents"),
])  # fmt: skip
def test_what_a_ladder_cannot_be_made_of_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        built({"name": "hierarchy", "latent_dim": [8, 8], **change})


def test_a_bottom_up_model_refuses_a_vampprior_above_a_layer_that_sees_no_x() -> None:
    with pytest.raises(UserError, match="'vamp' needs the encoder's density"):
        built({"name": "bottom-up", "marginal": {"name": "vamp", "pseudo_inputs": 3}})

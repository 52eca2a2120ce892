"""Bounds as objectives, on a model whose evidence and posterior are known. Tolerances: four standard errors."""

import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1] / "contract"))
sys.path.insert(0, str(Path(__file__).parent))
from one_latent import LOG_EVIDENCE, SETTING, a_pass, rows
from toys import batch_of, build

from ratelab.core.batch import LiveNoise, ReplayedNoise
from ratelab.core.errors import UserError
from ratelab.core.objective import Objective, Setting
from ratelab.objectives import OBJECTIVES


def objective(name: str, **options: object) -> Objective:
    return OBJECTIVES.build(OBJECTIVES.resolve({"name": name, **options}, "objective"), SETTING)


def gradients(name: str, samples: int, loc: float, scale: float, n: int = 20_000, **options: object) -> Tensor:
    """(n, 2) independent draws of the gradient with respect to location and log-scale."""
    leaves = rows(n, loc, scale)
    if "samples" in OBJECTIVES[name].schema.model_fields:
        options["samples"] = samples
    total = objective(name, **options).loss(a_pass(*leaves, samples), {}).total
    return n * torch.cat(torch.autograd.grad(total, leaves), 1)


def agree(a: Tensor, b: Tensor) -> bool:
    error = (a.var(0) / len(a) + b.var(0) / len(b)).sqrt()
    return bool(((a.mean(0) - b.mean(0)).abs() < 4 * error + 1e-9).all())


@pytest.mark.spec("VF29", "N35")
def test_at_the_posterior_the_gradient_has_no_variance() -> None:
    landed = gradients("sticking-the-landing", 1, 0.5, math.sqrt(0.5), n=500)
    assert landed.abs().max() < 1e-12
    assert gradients("elbo", 1, 0.5, math.sqrt(0.5), n=500, form="sampled").std() > 0.1


@pytest.mark.spec("VF29")
def test_sticking_the_landing_is_unbiased_away_from_it() -> None:
    """Closed form at N(m, s): d/dm of -ELBO = 2m - 1, d/dlog s = 2 s^2 - 1."""
    found = gradients("sticking-the-landing", 1, 0.2, 0.9)
    truth = torch.tensor([2 * 0.2 - 1, 2 * 0.81 - 1], dtype=torch.float64)
    assert ((found.mean(0) - truth).abs() < 4 * found.std(0) / len(found) ** 0.5).all()


def test_its_value_is_the_elbo() -> None:
    seen = a_pass(*rows(7, 0.2, 0.9), 3)
    assert torch.equal(
        objective("sticking-the-landing").loss(seen, {}).total, objective("elbo", form="joint").loss(seen, {}).total
    )


@pytest.mark.parametrize("samples", [1, 2, 8])
def test_doubly_reparameterised_gradients_have_the_mean_of_the_plain_ones(samples: int) -> None:
    plain = gradients("iwae", samples, 0.0, 1.0)
    doubly = gradients("doubly-reparameterised", samples, 0.0, 1.0)
    assert agree(plain, doubly)
    assert (doubly.var(0) < plain.var(0)).all()


def test_doubly_reparameterised_gradients_keep_their_signal_as_k_grows() -> None:
    """Signal to noise of the location's gradient: it falls with K for the plain estimator and rises for this one."""

    def ratio(name: str, k: int) -> float:
        found = gradients(name, k, 0.0, 1.0, n=4000)[:, 0]
        return float(found.mean().abs() / found.std())

    assert ratio("doubly-reparameterised", 64) > ratio("doubly-reparameterised", 4)
    assert ratio("iwae", 64) < ratio("iwae", 4)


def test_the_decoder_learns_from_the_same_gradient_as_under_iwae() -> None:
    found = []
    for name in ("iwae", "doubly-reparameterised"):
        w = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
        total = objective(name, samples=6).loss(a_pass(*rows(50, 0.1, 0.8), 6, w=w), {}).total
        found.append((total.detach(), torch.autograd.grad(total, w)[0]))
    assert torch.allclose(torch.stack(found[0]), torch.stack(found[1]))


def test_doubly_reparameterised_refuses_a_hierarchy() -> None:
    model, _ = build("hierarchy of two")
    with pytest.raises(UserError, match="one layer of latents only"):
        objective("doubly-reparameterised").players(model)


@pytest.mark.spec("VF15", "VF53")
def test_importance_weighting_tightens_the_bound_as_tabulated() -> None:
    """q = prior, x = 1: quadrature for K = 2, to 0.0005 beyond (Kingma and Welling 2019, section 2.6)."""
    truth = {1: -1.918939, 2: -1.6535, 5: -1.5575, 20: -1.5249, 64: -1.5185}
    found = []
    for k, value in truth.items():
        n = 400_000 // k
        seen = a_pass(torch.zeros(n, 1, dtype=torch.float64), torch.zeros(n, 1, dtype=torch.float64), k)
        bounds = torch.logsumexp(-(seen.distortion + seen.rate), 0) - math.log(k)
        loss = -float(objective("iwae", samples=k).loss(seen, {}).total)
        assert loss == pytest.approx(float(bounds.mean()))
        assert loss == pytest.approx(value, abs=4 * float(bounds.std()) / n**0.5 + 5e-4), k
        found.append(loss)
    assert found == sorted(found)
    assert found[-1] < LOG_EVIDENCE


@pytest.mark.spec("VF17", "N36")
def test_renyi_goes_from_iwae_to_the_elbo_and_falls_with_alpha() -> None:
    seen = a_pass(*rows(500, 0.1, 0.8), 5)
    bounds = [
        -objective("renyi", alpha=a, samples=5).loss(seen, {}).total.item() for a in (-1.0, 0.0, 0.5, 0.999, 1.0, 1.001, 2.0)
    ]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[1] == pytest.approx(-objective("iwae", samples=5).loss(seen, {}).total.item())
    assert bounds[4] == pytest.approx(-objective("elbo", form="sampled").loss(seen, {}).total.item())
    assert bounds[3] == pytest.approx(bounds[4], abs=1e-3)
    assert bounds[0] > bounds[1]


def test_renyi_has_a_gradient_at_alpha_one() -> None:
    leaves = rows(4, 0.1, 0.8)
    total = objective("renyi", alpha=1.0).loss(a_pass(*leaves, 5), {}).total
    assert all(gradient.isfinite().all() and gradient.any() for gradient in torch.autograd.grad(total, leaves))


def build_objective(model: torch.nn.Module, name: str, **options: object) -> Objective:
    setting = Setting(model.event_shape, model.latent_shapes, 10, 60)
    return OBJECTIVES.build(OBJECTIVES.resolve({"name": name, **options}, "objective"), setting)


@pytest.mark.spec("VF10")
def test_map_adds_the_gradient_of_the_weights_law_to_the_generative_side_only() -> None:
    model, dataset = build("vae")
    batch = batch_of(dataset)
    found = {}
    for name in ("elbo", "map"):
        chosen = build_objective(model, name, **({"spread": 0.5} if name == "map" else {}))
        model.zero_grad()
        chosen.turn(model, batch, LiveNoise(0), {}).loss.total.backward()
        found[name] = {n: p.grad.clone() for n, p in model.named_parameters()}
    generative = {id(p) for p in model.group("generative")}
    for n, p in model.named_parameters():
        extra = p.detach() / (0.25 * 60) if id(p) in generative else torch.zeros_like(p)
        assert torch.allclose(found["map"][n] - found["elbo"][n], extra, atol=1e-6), n


@pytest.mark.spec("IM07")
def test_denoising_scores_the_clean_data_under_a_corrupted_code() -> None:
    model, dataset = build("vae")
    batch = batch_of(dataset)
    chosen = build_objective(model, "denoising", corruption="mask", level=1.0, beta=2.0)
    loss, seen = chosen.turn(model, batch, LiveNoise(0), {})
    noise = LiveNoise(0)
    noise.uniform(batch.x.shape)
    blind = model(replace(batch, x=torch.zeros_like(batch.x)), noise)
    assert torch.equal(seen.rates, blind.rates)
    assert torch.equal(seen.target, batch.x)
    scored = -blind.decoder.log_prob(batch.x)
    assert torch.allclose(loss.total, scored.mean() + 2 * blind.mean(blind.closed_rate))


@pytest.mark.spec("IM07")
def test_without_corruption_and_price_it_is_the_plain_autoencoder() -> None:
    model, dataset = build("vae, deterministic")
    chosen = build_objective(model, "denoising", level=0.0, beta=0.0)
    loss, seen = chosen.turn(model, batch_of(dataset), LiveNoise(0), {})
    assert torch.equal(loss.total, seen.mean(seen.distortion))
    loss.total.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.spec("IM05")
def test_the_infovae_family_contains_the_elbo_and_infomax() -> None:
    model, dataset = build("vae")
    batch = batch_of(dataset)
    elbo = build_objective(model, "elbo").turn(model, batch, LiveNoise(0), {}).loss.total
    family = build_objective(model, "infovae", alpha=0.0, scale=1.0).turn(model, batch, LiveNoise(0), {}).loss
    assert torch.allclose(family.total, elbo)
    assert family.terms["mmd2"] != 0
    for biased in (True, False):
        options = {"scale": 7.0, "biased": biased}
        vim, seen = build_objective(model, "vim", **options).turn(model, batch, LiveNoise(0), {})
        twin = build_objective(model, "infovae", alpha=1.0, **options).turn(model, batch, LiveNoise(0), {}).loss
        assert torch.equal(vim.total, twin.total)
        assert torch.allclose(vim.total, seen.mean(seen.distortion) + 7 * vim.terms["mmd2"])


def test_infomax_trains_a_deterministic_encoder_and_the_rest_of_the_family_refuses_it() -> None:
    model, dataset = build("vae, deterministic")
    chosen = build_objective(model, "vim", kernel="median-rbf")
    chosen.players(model)
    chosen.turn(model, batch_of(dataset), LiveNoise(0), {}).loss.total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.group("inference"))
    with pytest.raises(UserError, match="infinite"):
        build_objective(model, "infovae").players(model)


def test_a_weight_that_rewards_discrepancy_is_refused() -> None:
    with pytest.raises(UserError, match="would reward a discrepancy"):
        objective("infovae", alpha=0.0, scale=0.5)


@pytest.mark.spec("N37")
def test_beta_tc_prices_the_total_correlation_only() -> None:
    model, dataset = build("vae")
    batch = batch_of(dataset)
    elbo = build_objective(model, "elbo").turn(model, batch, LiveNoise(0), {}).loss.total
    one = build_objective(model, "beta-tc", beta=1.0).turn(model, batch, LiveNoise(0), {}).loss
    six = build_objective(model, "beta-tc", beta=6.0).turn(model, batch, LiveNoise(0), {}).loss
    assert torch.allclose(one.total, elbo)
    assert torch.allclose(six.total, elbo + 5 * six.terms["total_correlation"])
    refused, _ = build("vae, full covariance")
    with pytest.raises(UserError, match="factorises"):
        build_objective(refused, "beta-tc").players(refused)


@pytest.mark.spec("IM03", "IM04")
@pytest.mark.parametrize("beta", [0.5, 4.0])
def test_beta_below_and_above_one_are_the_same_objective(beta: float) -> None:
    seen = a_pass(*rows(9, 0.1, 0.8), 2)
    expected = seen.mean(seen.distortion) + beta * seen.mean(seen.closed_rate)
    assert torch.allclose(objective("beta", beta=beta).loss(seen, {}).total, expected)


@pytest.mark.parametrize(("samples", "chunk"), [(12, 5), (12, 1), (12, 12), (3, 50)])
def test_chunks_give_the_bound_and_the_gradient_of_all_samples_at_once(samples: int, chunk: int) -> None:
    """With the same draws: chunk by chunk, and side by side."""
    model, dataset = build("vae")
    model.double()
    batch = batch_of(dataset, dtype=torch.float64)
    sizes = [min(chunk, samples - start) for start in range(0, samples, chunk)]
    noise = LiveNoise(0, dtype=torch.float64)
    draws = torch.cat([noise.normal((size, 7, 3)) for size in sizes])
    found = []
    for option, source in ((chunk, LiveNoise(0, dtype=torch.float64)), (None, ReplayedNoise([draws]))):
        model.zero_grad()
        turn = build_objective(model, "iwae", samples=samples, chunk=option).turn(model, batch, source, {})
        turn.loss.total.backward()
        found.append((turn.loss.total.detach(), [p.grad.clone() for p in model.parameters()]))
        assert turn.seen is not None
    assert torch.allclose(found[0][0], found[1][0])
    for chunked, whole in zip(found[0][1], found[1][1], strict=True):
        assert torch.allclose(chunked, whole, atol=1e-12)

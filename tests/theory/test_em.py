"""EM and its relatives on models whose posterior and likelihood are known: mixtures of Gaussians and probabilistic PCA."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from ratelab.core.batch import Batch, LiveNoise, ModeNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.model import Model
from ratelab.core.objective import Setting
from ratelab.encoders.hmc import hmc
from ratelab.evaluation import latents
from ratelab.exact.em import Mixture, ProbabilisticPca
from ratelab.exact.linear_gaussian import ppca_sigma2
from ratelab.models import MODELS
from ratelab.objectives import OBJECTIVES
from ratelab.training import OPTIMISERS, Plan, Trainer, refusal

N = 600


def clusters(seed: int = 0) -> Tensor:
    """Three clusters in the plane, (N, 2)."""
    rng = np.random.default_rng(seed)
    centres, spread = np.array([[-2.0, 0.0], [1.5, 1.0], [1.0, -2.0]]), np.array([[0.5, 1.0], [0.7, 0.3], [0.4, 0.4]])
    which = rng.choice(3, N, p=[0.5, 0.3, 0.2])
    return torch.as_tensor(centres[which] + spread[which] * rng.standard_normal((N, 2)))


def plane(seed: int = 0) -> Tensor:
    """A plane seen through noise in five dimensions, (N, 5)."""
    rng = np.random.default_rng(seed)
    weight = np.array([[2.0, 0.0], [0.0, 1.2], [1.0, 0.5], [0.0, 0.0], [-0.5, 1.0]])
    return torch.as_tensor(rng.standard_normal((N, 2)) @ weight.T + 0.5 * rng.standard_normal((N, 5)) + 1.0)


def start(kind: str, seed: int) -> Mixture | ProbabilisticPca:
    g = torch.Generator().manual_seed(seed)
    if kind == "mixture":
        means = torch.randn(3, 2, generator=g, dtype=torch.float64)
        return Mixture(torch.full((3,), 1 / 3, dtype=torch.float64), means, torch.ones(3, 2, dtype=torch.float64))
    weight = torch.randn(5, 2, generator=g, dtype=torch.float64)
    return ProbabilisticPca(weight, torch.zeros(5, dtype=torch.float64), torch.tensor(1.0, dtype=torch.float64))


DATA = {"mixture": clusters(), "pca": plane()}


@pytest.mark.spec("VF20")
@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("seed", range(5))
def test_the_log_likelihood_never_falls_and_the_elbo_touches_it(kind: str, seed: int) -> None:
    """E-step: ELBO = log p for every row. M-step: the ELBO rises, and log p with it. Over 60 rounds from five starts."""
    model, x = start(kind, seed), DATA[kind]
    before = float(model.log_evidence(x).sum())
    first = before
    for _ in range(60):
        q = model.expectation(x)
        assert torch.allclose(model.elbo(x, q), model.log_evidence(x), atol=1e-9)
        better = model.maximisation(x, q)
        raised = float(better.elbo(x, q).sum())
        after = float(better.log_evidence(x).sum())
        assert before - 1e-9 <= raised <= after + 1e-9
        model, before = better, after
    assert before > first + 100


@pytest.mark.spec("VF20")
@pytest.mark.parametrize("kind", DATA)
def test_the_m_step_is_the_maximum(kind: str) -> None:
    """The gradient of the summed ELBO vanishes at its result (the mixture's weights on their simplex)."""
    x, model = DATA[kind], start(kind, 0)
    q = model.expectation(x)
    best = model.maximisation(x, q)
    names = [name for name in best.__dataclass_fields__ if name != "weights"]
    leaves = [getattr(best, name).clone().requires_grad_() for name in names]
    slopes = torch.autograd.grad(replace(best, **dict(zip(names, leaves, strict=True))).elbo(x, q).sum(), leaves)
    assert all(float(slope.abs().max()) < 1e-7 for slope in slopes)


def test_em_for_pca_ends_at_the_principal_subspace() -> None:
    model, x = start("pca", 0), DATA["pca"]
    for _ in range(500):
        model = model.maximisation(x, model.expectation(x))
    covariance = torch.as_tensor(np.cov(x.numpy().T, bias=True))
    values, vectors = torch.linalg.eigh(covariance)
    assert float(model.sigma2) == pytest.approx(float(ppca_sigma2(values, 2)), rel=1e-8)
    basis = torch.linalg.qr(model.weight)[0]
    assert torch.allclose(torch.linalg.svdvals(basis.mT @ vectors[:, -2:]), torch.ones(2, dtype=torch.float64), atol=1e-9)


def dataset(x: Tensor) -> Dataset:
    split = Split(x.numpy().astype(np.float32))
    return Dataset("rows", Support.REAL, split, split, split)


def trainer(model: Model, data: Dataset, node: dict, epochs: int, lr: float, batch: int = N) -> Trainer:
    setting = Setting(model.event_shape, model.latent_shapes, epochs, len(data.train))
    objective = OBJECTIVES.build(OBJECTIVES.resolve(node, "objective"), setting)
    optimiser = OPTIMISERS.resolve({"name": "adam", "lr": lr, "constant": 0.5}, "optimiser")
    return Trainer(model, objective, data, optimiser, Plan(epochs=epochs, batch_size=batch, validate_every=epochs), 0)


@pytest.mark.spec("VF04")
def test_the_evidence_of_the_mixture_is_the_sum_over_its_components() -> None:
    """D + R = -log sum_z p(z) p(x|z), example by example, against the mixture of the exact room."""
    x = DATA["mixture"]
    torch.manual_seed(1)
    model = MODELS.build({"name": "gaussian-mixture", "components": 3}, dataset(x)).double()
    with torch.no_grad():
        model.logits.copy_(torch.tensor([0.3, -0.2, 0.9]))
        model.raw.add_(0.3 * torch.randn(3, 2, dtype=torch.float64))
    seen = model(Batch(x), ModeNoise(dtype=torch.float64))
    law = model.component(torch.arange(3, dtype=torch.float64))
    truth = Mixture(model.logits.softmax(0), law.loc, law.scale.square())
    assert torch.allclose(seen.per_example(seen.distortion + seen.rate), -truth.log_evidence(x), atol=1e-9)
    assert torch.allclose(seen.layers[0].log_encoder.exp().mT, truth.expectation(x), atol=1e-12)


@pytest.mark.spec("VF04")
def test_steps_on_the_elbo_of_the_mixture_reach_ems_likelihood() -> None:
    x = DATA["mixture"]
    best = Mixture(torch.full((3,), 1 / 3), torch.tensor([[-2.0, 0.0], [1.5, 1.0], [1.0, -2.0]]), torch.ones(3, 2))
    best = Mixture(*(getattr(best, name).double() for name in best.__dataclass_fields__))
    for _ in range(200):
        best = best.maximisation(x, best.expectation(x))
    torch.manual_seed(0)
    model = MODELS.build({"name": "gaussian-mixture", "components": 3}, dataset(x))
    training = trainer(model, dataset(x), {"name": "elbo"}, 300, 0.05)
    rows = [training.run_epoch() for _ in range(300)]
    assert rows[-1]["train/neg_elbo"] == pytest.approx(-float(best.log_evidence(x).mean()), abs=5e-3)
    generated = latents.sample(model, 4000, 0)["sample"]
    assert np.allclose(generated.mean(0), x.numpy().mean(0), atol=4 * x.numpy().std(0) / 4000**0.5 + 0.02)


def linear_local(x: Tensor, **options: object) -> Model:
    node = {
        "name": "local",
        "latent_dim": 2,
        "decoder": {"name": "gaussian", "network": {"name": "mlp", "hidden": []}},
        **options,
    }
    torch.manual_seed(0)
    return MODELS.build(MODELS.resolve(node, "model"), dataset(x))


def as_pca(model: Model) -> ProbabilisticPca:
    head = model.decoder.network.head
    weight, bias = head.weight.detach().double(), head.bias.detach().double()
    return ProbabilisticPca(weight, bias, model.decoder.log_sigma.detach().double().exp().square())


@pytest.mark.spec("VF20")
def test_a_new_row_is_fitted_to_its_mean_field_posterior_when_it_is_encoded() -> None:
    """For a linear-Gaussian decoder: the posterior's mean, and the inverse of its precision's diagonal; exact where A'A is diagonal."""
    model = linear_local(DATA["pca"], new_steps=400).double().eval()
    x = plane(seed=9)[:50]
    with torch.no_grad():
        for orthogonal in (False, True):
            weight = torch.tensor([[1.5, 0.3], [0.2, 1.0], [0.7, -0.4], [0.0, 0.5], [-0.6, 0.8]], dtype=torch.float64)
            model.decoder.network.head.weight.copy_(torch.linalg.qr(weight)[0] * 1.7 if orthogonal else weight)
            truth = as_pca(model)
            found = model(Batch(x), LiveNoise(0, dtype=torch.float64)).layers[0].encoder
            posterior = truth.expectation(x)
            assert torch.allclose(found.loc, posterior.mean, atol=2e-3)
            assert torch.allclose(found.scale.square(), (1 / truth.precision.diagonal()).expand(50, 2), rtol=5e-3)
            gap = truth.log_evidence(x) - model.elbo(x, found.loc, found.log_scale)
            assert (gap > -1e-6).all()
            if orthogonal:
                assert gap.max() < 1e-4, "after an exact E-step the ELBO is log p"
    (codes,) = latents.encode(model, x.numpy())
    assert np.allclose(codes, truth.expectation(x).mean.numpy(), atol=2e-3)


def test_posteriors_that_change_in_the_forward_pass_are_not_stacked() -> None:
    x = DATA["pca"]
    assert refusal(trainer(linear_local(x), dataset(x), {"name": "elbo"}, 1, 0.02)) == "model 'LocalPosteriors' does not stack"


@pytest.mark.spec("VF20")
def test_local_posteriors_raise_the_likelihood_to_probabilistic_pca() -> None:
    """Full batches of variational EM: log p(x) never falls by more than the momentum of the M-step's optimiser makes it, and ends
    within 0.08 nat of the maximum (it turns the weights until the posterior is diagonal, slowly)."""
    x = DATA["pca"]
    model = linear_local(x, e_steps=5)
    training = trainer(model, dataset(x), {"name": "elbo"}, 400, 0.02)
    likelihoods = []
    for _ in range(400):
        training.run_epoch()
        likelihoods.append(float(as_pca(model).log_evidence(x).mean()))
    peak = np.maximum.accumulate(likelihoods)
    assert (peak - likelihoods).max() < 0.03
    covariance = torch.as_tensor(np.cov(x.numpy().T, bias=True))
    spectrum = torch.linalg.eigvalsh(covariance).flip(0)
    best = torch.cat([spectrum[:2], ppca_sigma2(spectrum, 2).expand(3)])
    maximum = -0.5 * (5 * math.log(2 * math.pi) + float(best.log().sum()) + 5)
    assert likelihoods[-1] == pytest.approx(maximum, abs=0.08)


def effective(chains: Tensor) -> float:
    """The effective number of draws in chains (T, C), by Geyer's initial positive sequence over the averaged autocorrelation."""
    centred = chains - chains.mean()
    variance = centred.square().mean()
    total, t = 1.0, 1
    while t + 1 < len(chains):
        pair = sum(float((centred[:-lag] * centred[lag:]).mean() / variance) for lag in (t, t + 1))
        if pair < 0:
            break
        total, t = total + 2 * pair, t + 2
    return chains.numel() / total


@pytest.mark.spec("VF21")
@pytest.mark.parametrize("step", [0.05, 0.25])
def test_hmc_has_the_moments_of_a_gaussian_posterior(step: float) -> None:
    """z|x of a linear-Gaussian model: means and second moments within four standard errors from the effective sample size."""
    truth = ProbabilisticPca(
        torch.tensor([[1.5, 0.3], [0.2, 1.0], [0.7, -0.4]], dtype=torch.float64),
        torch.zeros(3, dtype=torch.float64),
        torch.tensor(0.4, dtype=torch.float64),
    )
    x = torch.tensor([0.8, -1.0, 0.4], dtype=torch.float64)
    posterior = truth.expectation(x.unsqueeze(0))
    mean, covariance = posterior.mean[0], posterior.covariance

    def log_joint(z: Tensor) -> Tensor:
        error = (x - z @ truth.weight.mT).square().sum(-1) / truth.sigma2
        return -0.5 * (error + z.square().sum(-1))

    noise, z, kept = LiveNoise(0, dtype=torch.float64), torch.zeros(40, 2, dtype=torch.float64), []
    for round_ in range(350):
        z, acceptance = hmc(z, log_joint, torch.tensor(step, dtype=torch.float64), 5, noise)
        if round_ >= 100:
            kept.append(z)
    assert 0.5 < float(acceptance.mean()) <= 1
    chains = torch.stack(kept)
    for i in range(2):
        for j in range(i, 3):
            values = chains[..., i] if j == 2 else (chains[..., i] - mean[i]) * (chains[..., j] - mean[j])
            wanted = mean[i] if j == 2 else covariance[i, j]
            error = float(values.std()) / effective(values) ** 0.5
            assert abs(float(values.mean() - wanted)) < 4 * error, (i, j)


def test_a_transition_without_acceptance_would_be_biased() -> None:
    """Large steps: proposals are refused often, and the moments still hold."""
    noise, z = LiveNoise(1, dtype=torch.float64), torch.zeros(4000, 1, dtype=torch.float64)
    rates = []
    for _ in range(60):
        z, acceptance = hmc(z, lambda at: -0.5 * at.square().sum(-1), torch.tensor(1.9, dtype=torch.float64), 3, noise)
        rates.append(float(acceptance.mean()))
    assert np.mean(rates) < 0.9
    assert float(z.square().mean()) == pytest.approx(1.0, abs=4 * math.sqrt(2 / 4000))


@pytest.mark.spec("VF21")
def test_monte_carlo_em_reaches_probabilistic_pca_and_teaches_an_encoder() -> None:
    """On a plane in five dimensions: log p within 0.02 nat of the maximum; the encoder's mean is the posterior's."""
    x = DATA["pca"]
    node = {
        "name": "vae",
        "latent_dim": 2,
        "encoder": {"name": "gaussian", "network": {"name": "mlp", "hidden": []}},
        "decoder": {"name": "gaussian", "network": {"name": "mlp", "hidden": []}},
    }
    torch.manual_seed(0)
    model = MODELS.build(MODELS.resolve(node, "model"), dataset(x))
    training = trainer(model, dataset(x), {"name": "mcmc-em", "transitions": 2, "leapfrogs": 3}, 250, 0.04)
    rows = [training.run_epoch() for _ in range(250)]
    assert 0.6 < np.mean([row["train/acceptance"] for row in rows[-50:]]) < 0.95
    spectrum = torch.linalg.eigvalsh(torch.as_tensor(np.cov(x.numpy().T, bias=True))).flip(0)
    best = torch.cat([spectrum[:2], ppca_sigma2(spectrum, 2).expand(3)])
    maximum = -0.5 * (5 * math.log(2 * math.pi) + float(best.log().sum()) + 5)
    learnt = as_pca(model)
    assert float(learnt.log_evidence(x).mean()) == pytest.approx(maximum, abs=0.02)
    with torch.no_grad():
        law = model.encode(x.float())
    assert torch.allclose(law.loc.double(), learnt.expectation(x).mean, atol=0.1)

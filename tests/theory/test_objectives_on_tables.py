"""Objectives of information on finite alphabets, where every term of every identity is a sum."""

import math

import pytest
import torch
from torch import Tensor

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.objective import Objective, Setting
from ratelab.exact.discrete import entropy, kl
from ratelab.exact.tables import FiniteTables, random_tables
from ratelab.models.tables import TableModel
from ratelab.objectives import OBJECTIVES
from ratelab.objectives.infovae import aggregated_kl

X, Z = 6, 4


def tabular(tables: FiniteTables) -> TableModel:
    split = Split(torch.arange(X, dtype=torch.float64).numpy())
    model = TableModel(Dataset("states", Support.REAL, split, split, split), states=X, latent_states=Z).double()
    with torch.no_grad():
        for name in ("encoder", "decoder", "marginal"):
            getattr(model, f"{name}_logits").copy_(getattr(tables, name).log())
    return model


def objective(name: str, **options: object) -> Objective:
    return OBJECTIVES.build(OBJECTIVES.resolve({"name": name, **options}, "objective"), Setting((), ((),), 10, X)).double()


def whole(tables: FiniteTables) -> Batch:
    return Batch(torch.arange(X, dtype=torch.float64), weight=tables.data)


def loss(tables: FiniteTables, name: str, **options: object) -> Tensor:
    model = tabular(tables)
    return objective(name, **options).turn(model, whole(tables), LiveNoise(0, dtype=torch.float64), {}).loss.total.detach()


@pytest.mark.spec("IM01")
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_variational_infomax_is_its_four_terms(seed: int, scale: float) -> None:
    """E log d - lambda KL(q(z)||m) = -KL(p*||p_d) - E KL(e||p_d(z|x)) - (lambda-1) KL(q(z)||m) + I_e - H (C19, eq. 6)."""
    t = random_tables(X, Z, seed)
    terms = -t.model_gap - (t.data * t.posterior_gaps).sum() - (scale - 1) * t.marginal_gap + t.encoder_information - t.entropy
    assert torch.allclose(-loss(t, "vim", divergence="kl", scale=scale), terms, atol=1e-10, rtol=0)


@pytest.mark.spec("DM06")
@pytest.mark.parametrize("seed", range(10))
def test_the_wasserstein_relaxation_is_the_elbo_plus_the_information(seed: int) -> None:
    """With cost -log d, divergence KL and lambda = 1 the loss is -ELBO - I_q (Rosca et al. 2018, eq. 11)."""
    t = random_tables(X, Z, seed)
    assert torch.allclose(loss(t, "vim", divergence="kl", scale=1.0), t.neg_elbo - t.encoder_information, atol=1e-10, rtol=0)


@pytest.mark.spec("IM05")
@pytest.mark.parametrize("alpha", [-1.0, 0.0, 0.25, 1.0])
def test_the_family_on_tables(alpha: float) -> None:
    """D + (1 - alpha) R + (alpha + lambda - 1) KL(q(z)||m)."""
    t = random_tables(X, Z, 3)
    expected = t.distortion + (1 - alpha) * t.rate + (alpha + 2.5 - 1) * t.marginal_gap
    assert torch.allclose(loss(t, "infovae", divergence="kl", alpha=alpha, scale=2.5), expected, atol=1e-10, rtol=0)


@pytest.mark.spec("IM02")
def test_information_is_capped_by_the_entropy_of_the_codes() -> None:
    """I_d <= H(m) and I_e <= H(q(z)) for discrete codes; C19's bound is reached where each code names one state."""
    for t in (random_tables(X, Z, seed) for seed in range(200)):
        assert t.model_information <= entropy(t.marginal) + 1e-12
        assert t.encoder_information <= entropy(t.aggregated_posterior) + 1e-12
    uneven = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
    named = FiniteTables(uneven, torch.eye(4), torch.eye(4), uneven)
    assert torch.allclose(named.model_information, entropy(uneven), atol=1e-12)


@pytest.mark.spec("IM02")
def test_infomax_fills_the_capacity_of_its_marginal_and_no_more() -> None:
    """Trained variational InfoMax on six equally likely states with four codes: I_e rises to log 4, never above it."""
    uniform = torch.full((X,), 1 / X, dtype=torch.float64)
    start = random_tables(X, Z, 1)
    model = tabular(FiniteTables(uniform, start.encoder, start.decoder, torch.full((Z,), 1 / Z, dtype=torch.float64)))
    model.marginal_logits.requires_grad_(False)
    chosen, batch = objective("vim", divergence="kl", scale=2.0), whole(start)
    batch = Batch(batch.x, weight=uniform)
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.1)
    carried = []
    for step in range(400):
        turn = chosen.turn(model, batch, LiveNoise(step, dtype=torch.float64), {})
        optimiser.zero_grad()
        turn.loss.total.backward()
        optimiser.step()
        with torch.no_grad():
            tables = [table.softmax(-1) for table in (model.encoder_table, model.decoder_table, model.marginal_table)]
            carried.append(float(FiniteTables(uniform, *tables).encoder_information))
    assert max(carried) <= math.log(Z) + 1e-9
    assert carried[0] < 0.5
    # q(z) = m leaves a code of two thirds of a state; what a nat of information is worth is less than matching the marginal
    assert carried[-1] > 1.0


@pytest.mark.spec("IM01")
def test_the_divergence_seen_through_draws_is_the_mixtures() -> None:
    """Three Gaussian posteriors against N(0, 1): the estimate from draws agrees with quadrature within 4 standard errors."""
    from ratelab.core.passes import Layer, Pass
    from ratelab.distributions.gaussians import DiagonalGaussian, StandardNormal

    loc = torch.tensor([[-1.5], [0.2], [2.0]], dtype=torch.float64)
    law = DiagonalGaussian(loc, log_scale=torch.tensor([[-1.0], [0.1], [-0.5]], dtype=torch.float64))
    grid = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    each = law.log_prob(grid.reshape(-1, 1, 1))
    mixture = each.logsumexp(-1) - math.log(3)
    log_m = StandardNormal((1,), loc).log_prob(grid.unsqueeze(-1))
    truth = float(torch.trapezoid(mixture.exp() * (mixture - log_m), grid))
    found = []
    for seed in range(400):
        z = law.draw(LiveNoise(seed, dtype=torch.float64), 20).value
        seen = Pass(Batch(loc), loc, (Layer(z, law, StandardNormal((1,), z)),), None)
        found.append(aggregated_kl(seen, 3))
    values = torch.stack(found)
    assert abs(float(values.mean()) - truth) < 4 * float(values.std()) / 400**0.5


def test_the_divergence_of_a_table_is_the_exact_one() -> None:
    t = random_tables(X, Z, 7)
    seen = tabular(t)(whole(t), LiveNoise(0, dtype=torch.float64))
    assert torch.allclose(aggregated_kl(seen, X), kl(t.aggregated_posterior, t.marginal), atol=1e-10, rtol=0)

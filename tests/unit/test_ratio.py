"""Density ratios from classifiers and the bounds beside them, on finite tables and on Gaussians."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from ratelab.core.batch import LiveNoise
from ratelab.divergences.ratio import (
    density_ratio,
    discrimination,
    donsker_varadhan,
    effective_draws,
    log_ratio,
    mean_logit,
    nwj,
)
from ratelab.divergences.wasserstein import critic_loss, gradient_penalty
from ratelab.exact.discrete import kl

TABLES = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.25, 0.05]], dtype=torch.float64)


@pytest.mark.spec("DM13")
@pytest.mark.parametrize("odds", [1.0, 3.0, 0.2])
def test_the_best_logit_on_tables_is_the_log_ratio_and_the_odds_of_the_labels(odds: float) -> None:
    """Found by minimising the expected cross-entropy, pi_1 E_p[-log D] + pi_0 E_q[-log(1 - D)], exactly."""
    p, q = TABLES
    logit = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    learner = torch.optim.LBFGS(
        [logit], max_iter=500, tolerance_grad=1e-13, tolerance_change=1e-15, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        learner.zero_grad()
        d = torch.sigmoid(logit)
        value = -(odds * p * d.log() + q * (1 - d).log()).sum() / (1 + odds)
        value.backward()
        return value

    learner.step(loss)
    best = logit.detach()
    assert torch.allclose(best, (p / q).log() + math.log(odds), atol=1e-6)
    assert torch.allclose(log_ratio(best, odds), (p / q).log(), atol=1e-6)
    assert torch.allclose(density_ratio(torch.sigmoid(best), odds), p / q, atol=1e-6)
    assert float((p * log_ratio(best, odds)).sum()) == pytest.approx(float(kl(p, q)), abs=1e-6)


@pytest.mark.spec("DM13")
def test_the_cross_entropy_of_pairs_is_smallest_at_the_log_ratio() -> None:
    """2 log 2 - 2 JSD there, stationary, and larger in every random direction."""
    p, q = TABLES
    pairs = (p.unsqueeze(1) * q).flatten()

    def expected(logit: torch.Tensor) -> torch.Tensor:
        on_p, on_q = (part.flatten() for part in torch.broadcast_tensors(logit.unsqueeze(1), logit))
        return (pairs * discrimination(on_p, on_q)).sum()

    best = (p / q).log().requires_grad_()
    (slope,) = torch.autograd.grad(expected(best), best)
    middle = (p + q) / 2
    divergence = 0.5 * (kl(p, middle) + kl(q, middle))
    assert slope.abs().max() < 1e-12
    assert float(expected(best.detach())) == pytest.approx(2 * math.log(2) - 2 * float(divergence), abs=1e-12)
    torch.manual_seed(0)
    assert all(expected(best + 0.3 * torch.randn(4)) > expected(best) for _ in range(20))


def gaussians(seed: int, n: int = 20_000) -> tuple[torch.Tensor, torch.Tensor]:
    """Draws of p = N(0, 1) and q = N(1, 1)."""
    noise = LiveNoise(seed, dtype=torch.float64)
    return noise.normal((n,)), 1 + noise.normal((n,))


@pytest.mark.spec("DM12", "DM08")
def test_at_the_exact_log_ratio_of_two_gaussians_all_forms_are_one_half() -> None:
    """log N(x; 0, 1) - log N(x; 1, 1) = 1/2 - x, KL = 1/2; the unshifted form of NWJ would give 0.131 (1/2 + 1 - 1 = 1/2, less 1/e)."""
    x, y = gaussians(0)
    on_p, on_q = 0.5 - x, 0.5 - y
    for found in (mean_logit(on_p), donsker_varadhan(on_p, on_q), nwj(on_p, on_q)):
        assert abs(found.value - 0.5) < 4 * found.error
        assert found.error < 0.02
    unshifted = float(on_p.mean() - (on_q - 1).exp().mean())
    assert unshifted == pytest.approx(0.5 - math.exp(-1), abs=0.05)


@pytest.mark.spec("DM12")
def test_bounds_of_a_thousand_random_critics_stay_below_the_divergence() -> None:
    """p = N(mu, s^2) against q = N(0, 1), T a random parabola: never above KL(p || q) by more than four standard errors."""
    generator = torch.Generator().manual_seed(0)
    missed = 0
    for seed in range(1000):
        a, b, mu, s = (0.4 * torch.randn(4, dtype=torch.float64, generator=generator)).tolist()
        scale = math.exp(s)
        truth = 0.5 * (mu**2 + scale**2 - 1) - s
        noise = LiveNoise(seed, dtype=torch.float64)
        x, y = mu + scale * noise.normal((400,)), noise.normal((4000,))

        def critic(v: torch.Tensor, a: float = a, b: float = b) -> torch.Tensor:
            return a * v - 0.1 * (b * v).square()

        for form in (donsker_varadhan, nwj):
            found = form(critic(x), critic(y))
            missed += found.value > truth + 4 * found.error
    assert missed == 0


@pytest.mark.spec("DM12")
@pytest.mark.parametrize("form", [donsker_varadhan, nwj])
def test_standard_errors_of_the_bounds_are_calibrated(form: object) -> None:
    """T = 0.8 (1/2 - x), no best critic: E_p[T] = 0.4 and E_q[e^T] = exp(0.4 - 0.8 + 0.32), whose weights have a finite variance."""
    mean = math.exp(0.8 * 0.5 - 0.8 + 0.5 * 0.64)
    truth = 0.4 - math.log(mean) if form is donsker_varadhan else 0.4 + 1 - mean
    assert truth < 0.5
    scores = []
    for seed in range(300):
        x, y = gaussians(seed, 2000)
        found = form(0.8 * (0.5 - x), 0.8 * (0.5 - y))  # type: ignore[operator]
        scores.append((found.value - truth) / found.error)
    assert 0.85 < np.std(scores) < 1.15
    assert abs(np.mean(scores)) < 4 / 300**0.5 + 0.15  # the logarithm of a mean errs upwards a little


def test_one_heavy_weight_is_worth_one_draw() -> None:
    assert effective_draws(torch.zeros(50)) == pytest.approx(50)
    assert effective_draws(torch.tensor([100.0, *[0.0] * 49])) == pytest.approx(1, abs=1e-6)
    assert donsker_varadhan(torch.zeros(5), torch.tensor([900.0, 0.0])).value == pytest.approx(-900 + math.log(2))
    assert nwj(torch.zeros(5), torch.tensor([900.0, 0.0])).value == -math.inf


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.5])
def test_the_penalty_of_a_linear_critic_is_its_squared_excess_slope(slope: float) -> None:
    critic = nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        critic.weight.copy_(slope * torch.tensor([[0.6, 0.0, 0.8]]))
    real, fake = torch.randn(7, 3), torch.randn(7, 3)
    with torch.no_grad():  # also where no gradients are kept
        penalty = gradient_penalty(lambda x: critic(x).squeeze(-1), real, fake, LiveNoise(0))
    assert torch.allclose(penalty, torch.full((7,), (slope - 1) ** 2), atol=1e-6)
    assert torch.equal(critic_loss(torch.tensor([2.0]), torch.tensor([0.5])), torch.tensor([-1.5]))


def test_the_penalty_is_taken_between_the_draws_of_each_pair_and_trains_the_critic() -> None:
    seen: list[torch.Tensor] = []
    critic = nn.Linear(1, 1)

    def watched(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.detach())
        return critic(x).squeeze(-1).square()

    gradient_penalty(watched, torch.zeros(500, 1), torch.arange(500.0).unsqueeze(1), LiveNoise(0)).mean().backward()
    share = seen[0][1:, 0] / torch.arange(1.0, 500.0)
    assert 0 < share.min() < 0.05
    assert 0.95 < share.max() < 1
    assert critic.weight.grad is not None
    assert critic.weight.grad.abs() > 0

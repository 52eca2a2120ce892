"""Closed forms of Gaussians against published values and numerical integration."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from ratelab.exact import gaussians


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.spec("RD03")
@pytest.mark.parametrize(
    ("mean", "std", "expected"), [(1.0, 1.0, 0.5), (0.0, math.e, 2.194528), (0.0, 0.5, 0.318147), (0, 1, 0)]
)
def test_rate_of_one_gaussian_unit(mean: float, std: float, expected: float) -> None:
    closed = gaussians.kl_to_standard(tensor(mean), tensor(std)).item()
    assert closed == pytest.approx(expected, abs=1e-6)
    general = gaussians.kl_diagonal(tensor(mean), tensor(std), tensor(0), tensor(1)).item()
    assert general == pytest.approx(closed, abs=1e-12)
    full = gaussians.kl_full(tensor(mean), tensor(std**2)[None], tensor(0), tensor(1)[None]).item()
    assert full == pytest.approx(closed, abs=1e-12)


def test_diagonal_kl_equals_its_integral() -> None:
    x = torch.linspace(-30, 30, 200_001, dtype=torch.float64)
    log_p = -0.5 * ((x - 0.7) / 1.3) ** 2 - math.log(1.3 * math.sqrt(2 * math.pi))
    log_q = -0.5 * ((x + 0.4) / 2.1) ** 2 - math.log(2.1 * math.sqrt(2 * math.pi))
    integral = torch.trapezoid(log_p.exp() * (log_p - log_q), x).item()
    assert gaussians.kl_diagonal(tensor(0.7), tensor(1.3), tensor(-0.4), tensor(2.1)).item() == pytest.approx(
        integral, abs=1e-9
    )


def test_full_covariance_agrees_with_torch_in_batches() -> None:
    generator = torch.Generator().manual_seed(0)
    factors = torch.randn(2, 5, 3, 4, dtype=torch.float64, generator=generator)
    first, second = (factors @ factors.mT).unbind(0)
    means = torch.randn(2, 5, 3, dtype=torch.float64, generator=generator)
    laws = MultivariateNormal(means[0], first), MultivariateNormal(means[1], second)
    x = torch.randn(5, 3, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(gaussians.kl_full(means[0], first, means[1], second), kl_divergence(*laws))
    torch.testing.assert_close(gaussians.log_density(x, means[0], first), laws[0].log_prob(x))
    torch.testing.assert_close(gaussians.entropy(first), laws[0].entropy())


@pytest.mark.spec("RD01")
def test_entropy_of_a_unit_normal() -> None:
    assert gaussians.entropy(tensor(1)[None]).item() == pytest.approx(1.418939, abs=1e-6)
    assert gaussians.entropy(torch.diag(tensor(3, 1.5, 0.4))).item() == pytest.approx(4.550709, abs=1e-6)

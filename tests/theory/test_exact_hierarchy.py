"""The two-layer linear-Gaussian hierarchy: its worked numbers, and layer rates against the joint divergence."""

import math

import pytest
import torch
from torch import Tensor

from ratelab.core.errors import UserError
from ratelab.exact import gaussians
from ratelab.exact.hierarchy import LinearHierarchy, TopDown

WORKED = LinearHierarchy(a=1.0, s1=1.0, b=1.0, s0=0.5)
MODELS = [WORKED, LinearHierarchy(a=-0.7, s1=0.4, b=2.0, s0=1.3)]


def random_inference(seed: int) -> TopDown:
    values = torch.randn(5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return TopDown(values[0], values[1].exp(), values[2], values[3], values[4].exp())


def joint(model: LinearHierarchy, q: TopDown, x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (..., 2) and covariance of q(z_2, z_1 | x), put together by hand."""
    mean2 = q.w * x
    covariance = torch.stack((q.std2**2, q.g * q.std2**2, q.g * q.std2**2, q.g**2 * q.std2**2 + q.std1**2)).view(2, 2)
    return torch.stack((mean2, q.g * mean2 + q.h * x), dim=-1), covariance


def prior_covariance(model: LinearHierarchy) -> Tensor:
    return torch.tensor([[1, model.a], [model.a, model.a**2 + model.s1**2]], dtype=torch.float64)


def total_rate(model: LinearHierarchy, q: TopDown) -> float:
    """E_x KL(q(z_2, z_1|x) || p(z_2, z_1)): quadratic in x, so its values at +-sqrt(var x) average to the expectation."""
    x = torch.tensor([-1.0, 1.0], dtype=torch.float64) * math.sqrt(model.data_variance)
    zero = torch.zeros(2, dtype=torch.float64)
    return gaussians.kl_full(*joint(model, q, x), zero, prior_covariance(model)).mean().item()


def test_worked_numbers() -> None:
    numbers = [*WORKED.optimal_rates, WORKED.optimal_rate, WORKED.optimal_distortion, WORKED.entropy]
    assert numbers == pytest.approx([0.293893, 0.804719, 1.098612, 0.725791, 1.824404], abs=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_exact_posterior_has_the_closed_form_rates(model: LinearHierarchy) -> None:
    measured = model.measure(model.posterior)
    assert measured.rates.tolist() == pytest.approx(list(model.optimal_rates), abs=1e-12)
    assert measured.distortion.item() == pytest.approx(model.optimal_distortion, abs=1e-12)
    assert model.optimal_distortion + model.optimal_rate == pytest.approx(model.entropy, abs=1e-12)


@pytest.mark.spec("HV15")
@pytest.mark.parametrize("model", MODELS)
def test_layer_rates_sum_to_the_total_rate(model: LinearHierarchy) -> None:
    for q in (model.posterior, *map(random_inference, range(5))):
        assert model.measure(q).rates.sum().item() == pytest.approx(total_rate(model, q), rel=1e-10)
    assert sum(model.optimal_rates) == pytest.approx(model.optimal_rate, abs=1e-12)


@pytest.mark.spec("HV15")
@pytest.mark.parametrize("model", MODELS)
def test_layer_rates_and_distortion_are_expectations(model: LinearHierarchy) -> None:
    n, q = 200_000, random_inference(1)
    noise = torch.randn(3, n, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = math.sqrt(model.data_variance) * noise[0]
    mean2, std2 = q.top(x)
    z2 = mean2 + std2 * noise[1]
    mean1, std1 = q.bottom(z2, x)
    z1 = mean1 + std1 * noise[2]
    log_q = gaussians.log_density(torch.stack((z2, z1), -1), *joint(model, q, x))
    log_decoder = gaussians.log_density(x[:, None], model.b * z1[:, None], torch.tensor([[model.s0**2]], dtype=torch.float64))
    sampled = torch.stack((log_q - model.log_joint(x, z2, z1) + log_decoder, -log_decoder))
    layers, measured = model.rates(q, z2, x), model.measure(q)
    for samples, exact in (
        (sampled[0], measured.rates.sum()), (sampled[1], measured.distortion),
        (layers[:, 0], measured.rates[0]), (layers[:, 1], measured.rates[1]),
    ):  # fmt: skip
        assert abs(samples.mean() - exact) < 4 * samples.std() / math.sqrt(n)


@pytest.mark.parametrize("model", MODELS)
def test_posterior_is_exact(model: LinearHierarchy) -> None:
    generator = torch.Generator().manual_seed(2)
    x, z2, z1 = torch.randn(3, 50, dtype=torch.float64, generator=generator)
    log_posterior = gaussians.log_density(torch.stack((z2, z1), -1), *joint(model, model.posterior, x))
    torch.testing.assert_close(log_posterior, model.log_joint(x, z2, z1) - model.log_evidence(x))


@pytest.mark.spec("HV19")
@pytest.mark.parametrize("model", MODELS)
def test_no_inference_beats_the_entropy(model: LinearHierarchy) -> None:
    for seed in range(20):
        measured = model.measure(random_inference(seed))
        assert bool((measured.rates >= 0).all())
        assert (measured.rates.sum() + measured.distortion).item() > model.entropy


def test_a_deviation_of_zero_is_refused() -> None:
    with pytest.raises(UserError, match="s0: a standard deviation must be greater than 0"):
        LinearHierarchy(a=1.0, s1=1.0, b=1.0, s0=0.0)

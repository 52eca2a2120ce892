"""Discrepancies and total correlations from samples, against closed forms and enumeration."""

import math
from itertools import combinations

import pytest
import torch
from torch import Tensor

from ratelab.divergences.mmd import infovae_rbf, median_width, mmd2, multi_scale_imq, rbf, squared_distances
from ratelab.divergences.total_correlation import log_aggregated, total_correlation


def points(seed: int, *shape: int, shift: float = 0.0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


@pytest.mark.spec("IM13")
def test_the_discrepancy_of_two_gaussians_is_the_closed_form() -> None:
    """d = 2, h = 2, |mu|^2 = 4: 2 (h/(h+2))^(d/2) (1 - exp(-|mu|^2 / (2(h+2)))) = 0.393469; four standard errors."""
    found = mmd2(points(0, 400, 100, 2), points(1, 400, 100, 2, shift=math.sqrt(2)), rbf(2.0))
    assert float(found.mean()) == pytest.approx(0.393469, abs=4 * float(found.std()) / 20)
    assert float(found.std()) / 20 < 0.005
    squared = torch.tensor([0.0, 9.0])
    assert infovae_rbf(3)(squared).tolist() == pytest.approx([1.0, math.exp(-1)])


@pytest.mark.spec("IM10", "IM11")
@pytest.mark.parametrize(("kernel", "kappa"), [(rbf(2.0), 1.0), (multi_scale_imq(2), 7.0)])
def test_biased_and_unbiased_differ_by_the_diagonal(kernel, kappa: float) -> None:
    z, u = points(0, 30, 2), points(1, 20, 2, shift=0.3)
    off = []
    for p in (z, u):
        values = kernel(squared_distances(p, p))
        n = len(p)
        assert values.diagonal().tolist() == pytest.approx([kappa] * n)
        off.append(((values.sum() - kappa * n) / (n * (n - 1)), n))
    diagonal = sum((kappa - mean) / n for mean, n in off)
    assert float(mmd2(z, u, kernel, biased=True) - mmd2(z, u, kernel)) == pytest.approx(float(diagonal), abs=1e-12)


@pytest.mark.spec("IM10", "IM11")
def test_the_biased_one_is_never_negative_and_the_unbiased_one_has_mean_zero() -> None:
    z, u = points(0, 500, 20, 2), points(1, 500, 20, 2)
    for kernel in (rbf(2.0), multi_scale_imq(2)):
        assert (mmd2(z, u, kernel, biased=True) >= 0).all()
        assert float(mmd2(z, z, kernel, biased=True).abs().max()) < 1e-12
        found = mmd2(z, u, kernel)
        assert abs(float(found.mean())) < 4 * float(found.std()) / 500**0.5
        assert (found < 0).any()


@pytest.mark.spec("IM12")
def test_the_scales_of_the_inverse_multiquadric() -> None:
    """d = 8, unit variance: C = 1.6, 3.2, 8, 16, 32, 80, 160."""
    squared = torch.tensor(5.0)
    expected = sum(c / (c + 5) for c in (1.6, 3.2, 8, 16, 32, 80, 160))
    assert float(multi_scale_imq(8)(squared)) == pytest.approx(expected)
    assert float(multi_scale_imq(4, 2.0)(squared)) == pytest.approx(expected)


def test_the_median_width() -> None:
    z, u = torch.tensor([[0.0], [10.0]]), torch.tensor([[0.0], [1.0], [3.0]])
    assert float(median_width(z, u)) == 9.0 + 4.0  # of {0, 1, 9, 49, 81, 100} the lower median; of {1, 4, 9}


def densities(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Six examples' Gaussian encoders in two dimensions, a draw from each, and log e(z_i,j | x_n) as (6, 6, 2)."""
    loc, scale = points(seed, 6, 2), points(seed + 1, 6, 2).exp()
    z = loc + scale * points(seed + 2, 6, 2)
    table = torch.distributions.Normal(loc, scale).log_prob(z.unsqueeze(1))
    return loc, scale, z, table


def test_the_whole_data_set_as_one_batch_is_exact() -> None:
    loc, scale, z, table = densities()
    uniform = torch.distributions.Categorical(torch.ones(6, dtype=torch.float64))
    joint = torch.distributions.MixtureSameFamily(
        uniform, torch.distributions.Independent(torch.distributions.Normal(loc, scale), 1)
    ).log_prob(z)
    each = torch.stack(
        [
            torch.distributions.MixtureSameFamily(uniform, torch.distributions.Normal(loc[:, j], scale[:, j])).log_prob(z[:, j])
            for j in range(2)
        ],
        1,
    )
    found_joint, found_each = log_aggregated(table, 6)
    assert torch.allclose(found_joint, joint)
    assert torch.allclose(found_each, each)
    assert torch.allclose(total_correlation(table, 6), joint - each.sum(1))


def test_stratified_weights_are_unbiased_over_all_minibatches() -> None:
    """E[q(z_0)] over every minibatch of three that holds example 0 is q(z_0) of all six; so is each dimension's."""
    *_, table = densities()
    joints, eaches = [], []
    for others in combinations(range(1, 6), 2):
        batch = torch.tensor([0, *others])
        joint, each = log_aggregated(table[batch][:, batch], 6)
        joints.append(joint[0].exp())
        eaches.append(each[0].exp())
    exact_joint, exact_each = log_aggregated(table, 6)
    assert torch.allclose(torch.stack(joints).mean(), exact_joint[0].exp())
    assert torch.allclose(torch.stack(eaches).mean(0), exact_each[0].exp())


def test_a_batch_of_one_example_gives_numbers() -> None:
    *_, table = densities()
    assert log_aggregated(table[:1, :1], 6)[0].isfinite().all()
    assert mmd2(points(0, 1, 2), points(1, 1, 2), rbf(1.0)).isfinite()

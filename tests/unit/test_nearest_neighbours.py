"""Mutual information from nearest neighbours, on laws whose information is known."""

import math

import numpy as np
import pytest

from ratelab.core.errors import UserError
from ratelab.divergences.nearest_neighbours import mixed_ksg


@pytest.mark.spec("HV34")
@pytest.mark.parametrize("correlation", [0.5, 0.9])
def test_correlated_gaussians_within_ten_per_cent(correlation: float) -> None:
    rng = np.random.default_rng(0)
    covariance = [[1, correlation], [correlation, 1]]
    x, z = rng.multivariate_normal([0, 0], covariance, 4000).T
    assert mixed_ksg(x, z) == pytest.approx(-0.5 * math.log(1 - correlation**2), rel=0.1)


def test_independent_variables_have_none() -> None:
    rng = np.random.default_rng(1)
    assert abs(mixed_ksg(rng.normal(size=(2000, 2)), rng.integers(0, 3, 2000))) < 0.05


def test_a_category_and_a_number() -> None:
    """x uniform on {0..4}, z = x + U(0, 2): I = log 5 - (4/5) log 2 (Gao et al. 2017, experiment II)."""
    rng = np.random.default_rng(2)
    x = rng.integers(0, 5, 4000)
    z = x + rng.uniform(0, 2, 4000)
    assert mixed_ksg(x, z) == pytest.approx(math.log(5) - 0.8 * math.log(2), rel=0.1)


def test_two_categories() -> None:
    """A symmetric channel: I = log 3 - h(0.7, 0.15, 0.15)."""
    rng = np.random.default_rng(3)
    x = rng.integers(0, 3, 6000)
    z = (x + rng.choice(3, 6000, p=[0.7, 0.15, 0.15])) % 3
    truth = math.log(3) + 0.7 * math.log(0.7) + 0.3 * math.log(0.15)
    assert mixed_ksg(x, z) == pytest.approx(truth, rel=0.1)


@pytest.mark.parametrize(
    ("x", "z", "k"), [(np.zeros(5), np.zeros(4), 1), (np.zeros(5), np.zeros(5), 5), (np.zeros(5), np.zeros(5), 0)]
)
def test_what_cannot_be_measured_is_refused(x: np.ndarray, z: np.ndarray, k: int) -> None:
    with pytest.raises(UserError, match="mixed_ksg"):
        mixed_ksg(x, z, k)


@pytest.mark.parametrize("groups", [1, 2, 16])
def test_independent_one_hot_codes_have_none_though_all_distances_tie(groups: int) -> None:
    """Points at distances 0 and 1 only: whichever k are called the nearest, none lies strictly nearer."""
    rng = np.random.default_rng(4)
    labels, codes = rng.integers(0, 10, 250), np.eye(8)[rng.integers(0, 8, (250, groups))]
    assert abs(mixed_ksg(1e9 * labels, codes)) < 0.1


def test_one_hot_codes_that_are_the_label_have_all_of_it() -> None:
    labels = np.arange(1000) % 10
    assert mixed_ksg(1e9 * labels, np.eye(10)[labels]) == pytest.approx(math.log(10), rel=0.01)

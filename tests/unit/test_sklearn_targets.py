"""``rl.VAE(rate=...)``: the rate asked for is the rate that is measured, and what cannot be had is said."""

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

import ratelab as rl
from ratelab.core.errors import UserError

Floats = NDArray[np.floating]


def halves() -> tuple[Floats, Floats]:
    """1297 digits to train on, 500 held out, as 0/1."""
    x = (load_digits().data >= 8).astype(float)
    order = np.random.RandomState(0).permutation(len(x))
    return x[order[:1297]], x[order[1297:]]


def tolerated(target: float, stderr: float) -> float:
    return max(0.02 * target, 0.1) + 4 * stderr


def fitted(x: Floats, **options: Any) -> rl.VAE:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return rl.VAE(**{"hidden": (64,), "random_state": 0, **options}).fit(x)


def test_a_requested_rate_is_met_on_held_out_rows() -> None:
    train, test = halves()
    found = fitted(train, rate=5.0, epochs=40, learning_rate=3e-3).rate_distortion(test, samples=8)
    assert abs(found.rate - 5) < tolerated(5, found.rate_stderr)
    assert found.distortion < 18


def test_a_rate_for_each_layer_is_met() -> None:
    train, test = halves()
    vae = fitted(train, rates=(2.0, 5.0), latent_dim=(4, 8), epochs=50, learning_rate=3e-3)
    found = vae.rate_distortion(test, samples=8)
    for rate, target, error in zip(found.rates, (2.0, 5.0), found.rates_stderr, strict=True):
        assert abs(rate - target) < max(0.3, 0.02 * target) + 4 * error


def test_a_requested_distortion_is_met_in_the_units_of_the_data() -> None:
    x = np.random.RandomState(0).randn(600, 3) @ np.diag([20.0, 5.0, 1.0])
    vae = fitted(x, hidden=(32,), sigma=2.0, latent_dim=3, distortion=6.5, epochs=150, learning_rate=3e-3)
    found = vae.rate_distortion(x, samples=8)
    assert abs(found.distortion - 6.5) < tolerated(6.5, found.distortion_stderr)


def test_a_target_out_of_reach_is_a_warning_that_says_where_it_ended() -> None:
    train, _ = halves()
    with pytest.warns(ConvergenceWarning, match=r"target 400 nats not reached: \d+\.\d \+- \d"):
        rl.VAE(rate=400.0, hidden=(16,), epochs=2, random_state=0).fit(train[:200])


def test_a_distortion_out_of_reach_is_said_in_the_units_of_the_data() -> None:
    x = 50 * np.random.RandomState(0).randn(200, 3)
    with pytest.warns(ConvergenceWarning, match="target 1 nats not reached") as said:
        vae = rl.VAE(distortion=1.0, hidden=(16,), epochs=1, random_state=0).fit(x)
    told = float(str(said[0].message).split("not reached: ")[1].split(" ")[0])
    found = vae.rate_distortion(x)
    assert abs(told - found.distortion) < 0.05 + 4 * found.distortion_stderr


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"rate": 5.0, "rates": (5.0,)}, "rate and rates contradict"),
        ({"rate": 5.0, "distortion": 9.0}, "rate and distortion contradict"),
        ({"rate": 5.0, "beta": 2.0}, "beta and rate contradict"),
        ({"rates": (5.0, 5.0)}, r"rates must be a tuple of 1 number"),
        ({"rates": (5.0,), "latent_dim": (2, 2)}, r"rates must be a tuple of 2 number"),
        ({"rate": -1.0}, "rate must be a number above 0"),
        ({"rate": (1.0, 2.0)}, "for one per layer use rates="),
        ({"distortion": "low"}, "distortion must be a number"),
    ],
)
def test_contradictions_are_one_line_before_training(params: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        rl.VAE(**params).fit(np.eye(20))
    assert "\n" not in str(caught.value)


def test_a_target_survives_saving(tmp_path: Any) -> None:
    vae = rl.VAE(rates=(1.0, 2.0), latent_dim=(2, 2), hidden=(8,), epochs=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        vae.fit(halves()[0][:100])
    vae.save(tmp_path / "vae")
    assert rl.VAE.load(tmp_path / "vae").rates == (1.0, 2.0)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [2.0, 5.0, 10.0])
@pytest.mark.parametrize("seed", range(3))
def test_requests_are_met_at_the_distortion_of_the_beta_vae(rate: float, seed: int) -> None:
    """At the same number of steps, no more than half a nat above the beta-VAE of the same price, at equal rates."""
    train, test = halves()
    options: dict[str, Any] = {"hidden": (128,), "epochs": 100, "random_state": seed, "patience": None}
    steered = fitted(train, rate=rate, **options)
    found = steered.rate_distortion(test, samples=16)
    assert abs(found.rate - rate) < tolerated(rate, found.rate_stderr)
    curve = [rl.VAE(beta=beta, **options).fit(train).rate_distortion(test, samples=16) for beta in (0.35, 0.7, 1.2, 2.2, 3.0)]
    rates, distortions = np.array([(p.rate, p.distortion) for p in curve]).T
    order = np.argsort(rates)
    assert found.distortion < np.interp(found.rate, rates[order], distortions[order]) + 0.5

"""Rates and distortions of the VAE are in nats and in the units of X, whatever the networks see inside."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from sklearn.datasets import load_digits, load_iris

import ratelab as rl

Floats = NDArray[np.floating]
X: Floats = load_iris().data
BITS: Floats = (load_digits().data[:300] > 7).astype(float)


def small(**options: Any) -> rl.VAE:
    """An estimator that trains in a moment."""
    return rl.VAE(**{"latent_dim": 2, "hidden": (16,), "epochs": 5, "random_state": 0, **options})


@pytest.mark.parametrize("sigma", ["learned", None])
def test_scaling_x_shifts_the_distortion_by_the_log_jacobian(sigma: str | None) -> None:
    """At the same fit: D log c. A factor of 4 is exact in binary, so only the last digits of a logarithm may differ."""
    plain = small(sigma=sigma or 0.5).fit(X)
    scaled = small(sigma=sigma or 2.0).fit(4 * X)
    a, b = plain.rate_distortion(X), scaled.rate_distortion(4 * X)
    assert b.distortion - a.distortion == pytest.approx(X.shape[1] * math.log(4), abs=1e-9)
    assert b.rate == pytest.approx(a.rate, abs=1e-9)
    np.testing.assert_allclose(scaled.inverse_transform(plain.transform(X)), 4 * plain.inverse_transform(plain.transform(X)))


def test_each_column_has_its_own_units() -> None:
    factors = np.array([1.0, 1e-9, 1024.0, 1e6])
    a, b = small().fit(X).rate_distortion(X), small().fit(X * factors).rate_distortion(X * factors)
    assert b.distortion - a.distortion == pytest.approx(np.log(factors).sum(), abs=1e-3)


def test_data_far_from_zero_lose_no_digits() -> None:
    near, far = small().fit(X), small().fit(X + 2.0**30)
    assert far.score(X + 2.0**30) == pytest.approx(near.score(X), abs=1e-3)


def test_independent_gaussian_columns_cost_their_entropy() -> None:
    """Nothing to encode: the ELBO reaches the negative entropy, sum of 1/2 log(2 pi e var). Tolerance: 4 standard errors."""
    x = np.random.RandomState(0).randn(4000, 3) * [0.01, 1.0, 30.0] + [5.0, 0.0, -1.0]
    measured = rl.VAE(2, hidden=(8,), epochs=15, random_state=0).fit(x).rate_distortion(x)
    entropy = 0.5 * np.log(2 * np.pi * np.e * x.var(0)).sum()
    assert measured.neg_elbo == pytest.approx(entropy, abs=4 * measured.neg_elbo_stderr)
    assert measured.neg_elbo > entropy - 1e-2
    assert measured.rate < 0.05


def test_a_stated_sigma_is_in_the_units_of_x() -> None:
    vae = small(sigma=0.5).fit(X * [1.0, 2.0, 3.0, 4.0])
    z = vae.transform(X * [1.0, 2.0, 3.0, 4.0])
    expected = stats.norm.logpdf(X, vae.inverse_transform(z), 0.5).sum(1)
    np.testing.assert_allclose(log_likelihood(vae, X, z), expected, rtol=1e-6)


def test_the_bernoulli_likelihood_is_that_of_the_decoded_probabilities() -> None:
    vae = small(latent_dim=4).fit(BITS)
    z = vae.transform(BITS)
    expected = stats.bernoulli.logpmf(BITS, vae.inverse_transform(z)).sum(1)
    np.testing.assert_allclose(log_likelihood(vae, BITS, z), expected, rtol=1e-9)


def log_likelihood(vae: rl.VAE, x: Floats, z: Floats) -> Floats:
    """log d(x|z) of the fitted model, (N,) nats."""
    with torch.no_grad():
        return vae.model_.likelihood(torch.as_tensor(z)).log_prob(torch.as_tensor(x)).numpy()


@pytest.mark.parametrize(
    ("x", "asked", "chosen"), [(BITS, "auto", "bernoulli"), (X, "auto", "gaussian"), (BITS, "gaussian", "gaussian")]
)
def test_the_likelihood_fits_the_data_and_is_said(
    x: Floats, asked: str, chosen: str, capsys: pytest.CaptureFixture[str]
) -> None:
    vae = small(likelihood=asked, verbose=1, epochs=2).fit(x)
    assert vae.likelihood_ == chosen
    lines = capsys.readouterr().out.splitlines()
    assert f"likelihood: {chosen}" in lines[0]
    assert ("chosen from the data" in lines[0]) == (asked == "auto")
    assert [line.split(":")[0] for line in lines[1:]] == ["[VAE] epoch 1/2", "[VAE] epoch 2/2"]


def test_silent_unless_verbose(capsys: pytest.CaptureFixture[str]) -> None:
    small(epochs=1).fit(X)
    assert capsys.readouterr() == ("", "")


def test_the_record_holds_floats_that_add_up() -> None:
    vae = small(latent_dim=(2, 3), beta=(0.5, 2.0)).fit(X)
    record = vae.rate_distortion(X)
    assert len(record.rates) == len(record.rates_stderr) == 2
    assert sum(record.rates) == pytest.approx(record.rate)
    assert record.rate + record.distortion == pytest.approx(record.neg_elbo)
    assert -vae.score(X) == record.neg_elbo
    assert all(isinstance(value, (float, tuple)) for name, value in vars(record).items() if name != "n")
    assert "rates=(" in repr(record)
    assert "nats, n=150" in repr(record)
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.rate = 0.0  # type: ignore[misc]


def test_more_samples_measure_the_same_with_less_error() -> None:
    vae = small(epochs=60).fit(X)
    one, many = vae.rate_distortion(X), vae.rate_distortion(X, samples=50)
    assert many.rate == pytest.approx(one.rate, abs=4 * one.rate_stderr)
    assert many.rate_stderr < one.rate_stderr


def test_beta_prices_the_rate() -> None:
    cheap, dear = (small(beta=beta, epochs=60).fit(X).rate_distortion(X) for beta in (0.1, 10.0))
    assert cheap.rate > dear.rate + 1
    assert cheap.distortion < dear.distortion


def test_a_hierarchys_betas_act_on_their_own_layer_top_first() -> None:
    """A forbidding price empties the layer it names and leaves the rate to the other."""
    options: dict[str, Any] = {"latent_dim": (2, 3), "epochs": 80}
    top_dear = small(beta=(50.0, 0.2), **options).fit(X).rate_distortion(X)
    low_dear = small(beta=(0.2, 50.0), **options).fit(X).rate_distortion(X)
    assert top_dear.rates[0] < 0.1 < 1 < top_dear.rates[1]
    assert low_dear.rates[1] < 0.1


def test_a_hierarchys_layers_lie_side_by_side_top_first() -> None:
    vae = small(latent_dim=(1, 3)).fit(X)
    z = vae.transform(X)
    assert z.shape == (150, 4)
    moved = z.copy()
    moved[:, 0] += 1  # the decoder reads the lowest layer only
    np.testing.assert_array_equal(vae.inverse_transform(moved), vae.inverse_transform(z))


def test_early_stopping_looks_at_the_objective_not_at_the_elbo() -> None:
    """With a tiny beta the ELBO is best early, D + beta R much later; stopping by the ELBO would end the training there."""
    x = load_digits().data[:400]
    vae = rl.VAE(4, beta=0.01, hidden=(32,), epochs=60, patience=5, learning_rate=3e-3, random_state=0).fit(x)
    assert vae.n_iter_ > 20


def test_early_stopping_keeps_the_best_epochs_weights() -> None:
    """They are those of a training that ends there."""
    x = load_digits().data[:400]
    options: dict[str, Any] = {"latent_dim": 4, "hidden": (64,), "patience": 3, "learning_rate": 1e-2, "random_state": 0}
    stopped = rl.VAE(**options, epochs=300).fit(x)
    assert stopped.n_iter_ < 300
    np.testing.assert_array_equal(rl.VAE(**options, epochs=stopped.n_iter_ - 3).fit(x).transform(x), stopped.transform(x))


def test_samples_look_like_the_data() -> None:
    """Means of 2000 samples against the data's. Tolerance: a quarter of each column's spread, far above 4 standard errors."""
    draws = small(epochs=150).fit(X).sample(2000)
    assert draws.shape == (2000, 4)
    assert (np.abs(draws.mean(0) - X.mean(0)) < X.std(0) / 4).all()
    assert set(np.unique(small().fit(BITS).sample(20))) <= {0.0, 1.0}

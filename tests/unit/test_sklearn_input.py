"""Mistakes in parameters and data: one line that says what is wrong and what would be right."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError

import ratelab as rl
from ratelab.core.errors import UserError

Floats = NDArray[np.floating]
X: Floats = load_iris().data


def small(**options: Any) -> rl.VAE:
    """An estimator that trains in a moment."""
    return rl.VAE(**{"latent_dim": 2, "hidden": (8,), "epochs": 1, "random_state": 0, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latent_dim": 0}, "latent_dim must be a whole number of at least 1; got 0"),
        ({"latent_dim": 2.5}, "latent_dim must be a whole number"),
        ({"latent_dim": True}, "latent_dim must be a whole number"),
        ({"latent_dim": (2, 0)}, "latent_dim must be a whole number"),
        ({"latent_dim": ()}, "latent_dim: a hierarchy needs at least one layer"),
        ({"beta": -1.0}, "beta must be a number of at least 0"),
        ({"beta": float("nan")}, "beta must be a number of at least 0"),
        ({"beta": "big"}, "beta must be a number of at least 0"),
        ({"beta": (1.0, 2.0)}, r"beta: 2 weights for 1 layer\(s\) of latents; give one number or 1"),
        ({"beta": (1.0,), "latent_dim": (2, 2)}, r"beta: 1 weights for 2 layer\(s\)"),
        ({"beta": (1.0, -2.0), "latent_dim": (2, 2)}, "beta must be a number of at least 0"),
        ({"hidden": 16}, "hidden must be a tuple of whole numbers"),
        ({"hidden": (0,)}, "hidden must be a whole number of at least 1"),
        ({"likelihood": "gausian"}, "unknown likelihood 'gausian'; did you mean 'gaussian'?"),
        ({"likelihood": None}, "unknown likelihood None"),
        ({"likelihood": "bernoulli"}, "'bernoulli' needs values 0 and 1 only, and X has others"),
        ({"sigma": 0.0}, "sigma must be a number above 0 or 'learned'; got 0.0"),
        ({"sigma": "free"}, "sigma must be a number above 0 or 'learned'"),
        ({"epochs": 0}, "epochs must be a whole number of at least 1"),
        ({"batch_size": 0.5}, "batch_size must be a whole number of at least 1"),
        ({"learning_rate": float("inf")}, "learning_rate must be a number above 0"),
        ({"patience": 0}, "patience must be a whole number of at least 1 or None"),
        ({"validation_fraction": 1.0}, "validation_fraction must lie strictly between 0 and 1"),
        ({"device": "gpu"}, "unknown device 'gpu'"),
    ],
)
def test_a_wrong_parameter_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message.replace("?", r"\?")) as caught:
        small(**options).fit(X)
    assert "\n" not in str(caught.value)


def test_cuda_is_refused_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match="no CUDA device"):
        small(device="cuda").fit(X)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused_in_scikit_learns_words(bad: float) -> None:
    x = X.copy()
    x[3, 2] = bad
    with pytest.raises(ValueError, match=r"contains (NaN|infinity)"):
        small().fit(x)
    vae = small().fit(X)
    for method in (vae.transform, vae.score, vae.rate_distortion):
        with pytest.raises(ValueError, match=r"contains (NaN|infinity)"):
            method(x)
    with pytest.raises(ValueError, match=r"contains (NaN|infinity)"):
        vae.inverse_transform(np.full((2, 2), bad))


def test_values_too_large_for_a_spread_are_refused() -> None:
    with pytest.raises(UserError, match="too large"):
        small().fit(X * 1e300)


@pytest.mark.parametrize("method", ["transform", "inverse_transform", "score", "rate_distortion", "sample"])
def test_an_unfitted_estimator_says_so(method: str) -> None:
    with pytest.raises(NotFittedError):
        getattr(small(), method)(*(() if method == "sample" else (X,)))


def test_another_width_is_refused() -> None:
    vae = small().fit(X)
    with pytest.raises(ValueError, match="X has 3 features, but VAE is expecting 4 features"):
        vae.transform(X[:, :3])
    with pytest.raises(UserError, match="Z has 3 columns, but this VAE has 2 latents"):
        vae.inverse_transform(X[:, :3])
    with pytest.raises(UserError, match="n must be a whole number of at least 1; got 0"):
        vae.sample(0)


def test_a_bernoulli_model_does_not_score_other_values() -> None:
    vae = small().fit((X > 3).astype(float))
    with pytest.raises(UserError, match="values other than 0 and 1"):
        vae.score(X)


def test_constant_columns_and_single_rows_are_no_trouble() -> None:
    x = np.column_stack([X, np.full(len(X), 7.0), np.zeros(len(X))])
    vae = small(epochs=3).fit(x)
    assert np.isfinite(vae.score(x))
    assert np.isfinite(vae.inverse_transform(vae.transform(x))).all()
    one = small().fit(X[:1])
    assert np.isnan(one.rate_distortion(X[:1]).neg_elbo_stderr)


@pytest.mark.parametrize("rows", [20, 150])
def test_a_training_that_diverges_warns_and_keeps_the_last_good_weights(rows: int) -> None:
    """With and without rows held out."""
    vae = small(learning_rate=1e30, epochs=5)
    with pytest.warns(ConvergenceWarning, match="diverged in epoch 1; the weights of epoch 0 are kept. Lower learning_rate"):
        vae.fit(X[:rows])
    assert np.isfinite(vae.transform(X)).all()
    assert np.isfinite(vae.score(X))

"""The VAE keeps scikit-learn's contract: its own checks, pipelines, searches, clones, pickles, random states."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

import ratelab as rl

Floats = NDArray[np.floating]
X: Floats = load_iris().data


def small(**options: Any) -> rl.VAE:
    """An estimator that trains in a moment."""
    return rl.VAE(**{"latent_dim": 2, "hidden": (16,), "epochs": 3, "random_state": 0, **options})


@parametrize_with_checks([rl.VAE(hidden=(16,), epochs=3), rl.VAE((2, 3), beta=(0.5, 2.0), hidden=(16,), epochs=2)])
def test_scikit_learns_own_checks(estimator: BaseEstimator, check: Callable[[BaseEstimator], None]) -> None:
    check(estimator)


@pytest.mark.slow
def test_scikit_learns_own_checks_with_every_default() -> None:
    check_estimator(rl.VAE(), on_skip=None)


def test_importing_ratelab_loads_neither_torch_nor_scikit_learn() -> None:
    code = (
        "import sys, ratelab\n"
        "assert not {'torch', 'sklearn', 'numpy'} & sys.modules.keys()\n"
        "assert 'VAE' in dir(ratelab) and ratelab.VAE.__name__ == 'VAE' and 'torch' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_in_ratelab_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'VEA'"):
        rl.VEA  # noqa: B018


def test_in_a_pipeline_before_a_classifier() -> None:
    y = load_iris().target
    steps = make_pipeline(StandardScaler(), small(epochs=30, beta=0.1), LogisticRegression())
    assert steps.fit(X, y).score(X, y) > 0.7
    assert list(steps[:2].get_feature_names_out()) == ["vae0", "vae1"]


def test_set_output_gives_a_named_table() -> None:
    pandas = pytest.importorskip("pandas")
    table = small().set_output(transform="pandas").fit_transform(pandas.DataFrame(X, columns=list("abcd")))
    assert list(table.columns) == ["vae0", "vae1"]
    assert len(table) == len(X)


def test_a_grid_search_over_beta_picks_the_highest_elbo() -> None:
    search = GridSearchCV(small(epochs=80), {"beta": [1.0, 100.0]}, cv=KFold(2, shuffle=True, random_state=0)).fit(X)
    assert search.best_params_ == {"beta": 1.0}
    assert search.best_score_ == max(search.cv_results_["mean_test_score"])


def test_a_clone_of_a_fitted_estimator_fits_to_the_same_numbers() -> None:
    fitted = small().fit(X)
    again = clone(fitted).fit(X)
    np.testing.assert_array_equal(again.transform(X), fitted.transform(X))


def test_a_pickle_of_a_fitted_estimator_gives_the_same_numbers() -> None:
    fitted = small(latent_dim=(2, 3)).fit(X)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.transform(X), fitted.transform(X))
    assert again.score(X) == fitted.score(X)


def test_an_int_as_random_state_repeats_everything() -> None:
    first = small(random_state=7).fit(X)
    torch.rand(1)  # whatever others drew meanwhile
    second = small(random_state=7).fit(X)
    np.testing.assert_array_equal(first.transform(X), second.transform(X))
    np.testing.assert_array_equal(first.sample(5), second.sample(5))
    np.testing.assert_array_equal(first.sample(5), first.sample(5))
    assert first.score(X) == second.score(X) == first.score(X)


def test_a_score_repeats_even_where_fits_do_not() -> None:
    vae = small(random_state=None).fit(X)
    assert vae.score(X) == vae.score(X)
    assert not np.array_equal(vae.sample(5), vae.sample(5))


def test_other_random_states_give_other_numbers() -> None:
    state = np.random.RandomState(9)
    fits = [small(random_state=s).fit(X).transform(X) for s in (0, 1, state, state, None, None)]
    assert len({fit.tobytes() for fit in fits}) == len(fits)


def test_a_random_state_instance_repeats_from_the_same_state() -> None:
    first, second = (small(random_state=np.random.RandomState(3)).fit(X) for _ in range(2))
    np.testing.assert_array_equal(first.transform(X), second.transform(X))


@pytest.mark.parametrize("random_state", [0, None])
def test_the_global_generators_are_left_as_they_are(random_state: int | None, tmp_path: Path) -> None:
    torch.manual_seed(5)
    np.random.seed(5)
    expected = torch.rand(3), np.random.rand(3)
    torch.manual_seed(5)
    np.random.seed(5)
    vae = small(random_state=random_state).fit(X)
    vae.transform(X), vae.sample(2), vae.score(X)
    vae.save(tmp_path / "vae")
    rl.VAE.load(tmp_path / "vae")
    assert torch.equal(torch.rand(3), expected[0])
    np.testing.assert_array_equal(np.random.rand(3), expected[1])


def test_a_row_is_encoded_the_same_alone_and_among_others() -> None:
    x = np.random.RandomState(0).randn(1200, 5)
    vae = small().fit(x)
    alone = np.concatenate([vae.transform(x[i : i + 1]) for i in range(0, 1200, 100)])
    np.testing.assert_allclose(vae.transform(x)[::100], alone, atol=1e-12)


def test_float32_in_float32_out() -> None:
    vae = small().fit(X.astype(np.float32))
    z = vae.transform(X.astype(np.float32))
    assert z.dtype == vae.inverse_transform(z).dtype == np.float32
    assert vae.transform(X).dtype == np.float64


def test_read_only_and_reversed_arrays_are_taken() -> None:
    locked = X.copy()
    locked.setflags(write=False)
    vae = small().fit(locked)
    np.testing.assert_allclose(vae.transform(locked[::-1])[::-1], vae.transform(X), atol=1e-12)

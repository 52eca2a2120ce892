"""The density-ratio trick on two known Gaussians: the truth in closed form, and the bias against n."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from ratelab.cli.synthetic import synthetic_records
from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.errors import UserError
from ratelab.data import load
from ratelab.data.gaussian_pair import gaussian_pair
from ratelab.exact.gaussians import log_density
from ratelab.models import MODELS
from ratelab.report.look import to_svg
from ratelab.report.synthetic_figure import synthetic_figure
from ratelab.runs import execute, expand, from_mapping, read_recipe, single, sweep
from ratelab.runs.assemble import build_trainer
from ratelab.runs.recipe import resolve
from ratelab.store import Store


def critic(n: int, seed: int = 0):
    dataset = load({"name": "gaussian-pair", "dimensions": n, "n": 10, "seed": seed})
    return MODELS.build(MODELS.resolve({"name": "gaussian-critic", "layers": 1, "width": 8}, "m"), dataset), dataset


@pytest.mark.spec("DM57")
@pytest.mark.parametrize("n", [1, 3])
def test_the_truth_is_the_divergence_of_the_laws_that_are_drawn_from(n: int) -> None:
    """KL(P_2 || P_1) in closed form against the mean of log p_2 - log p_1 over draws, and the draws have the laws' moments."""
    model, _ = critic(n)
    first, second = gaussian_pair(n, 0)
    assert first.weight.shape == (n, 2 * n)
    pairs = model.meet(Batch(torch.zeros(40_000, n)), LiveNoise(0))
    laws = [(torch.as_tensor(law.shift), torch.as_tensor(law.weight @ law.weight.T)) for law in (first, second)]
    for drawn, (mean, spread) in zip(pairs, laws, strict=True):
        error = spread.diagonal().sqrt() / math.sqrt(len(drawn))
        assert ((drawn.double().mean(0) - mean).abs() < 4 * error).all()
        assert np.allclose(np.cov(drawn.numpy().T), spread.numpy().squeeze(), rtol=0.06, atol=0.03)
    ratio = log_density(pairs.second.double(), *laws[1]) - log_density(pairs.second.double(), *laws[0])
    assert abs(float(ratio.mean()) - model.divergence) < 4 * float(ratio.std()) / math.sqrt(len(ratio))
    assert critic(n, seed=1)[0].divergence != model.divergence


SMALL = (
    "model.layers=2",
    "model.width=64",
    "training.epochs=2",
    "training.passes=100",
    "optimiser.lr=1e-3",
    "data.dimensions=1,100",
)


@pytest.mark.spec("DM57")
def test_the_bias_grows_with_the_dimension(tmp_path: Path) -> None:
    """A few seconds of training: right for n = 1, far too low for n = 100; the bounds stay below the truth."""
    store = Store.create(tmp_path / "runs")
    recipes = expand(read_recipe("rosca2018/synthetic-kl"), [*SMALL, "data.n=1024", "training.batch_size=256"])
    found = {r["recipe"]["data"]["dimensions"]: r["estimates"] for r in sweep(recipes, store, workers=1)}
    assert set(found) == {1, 100}
    for numbers in found.values():
        truth, trick, bias = (numbers[f"synthetic_kl{part}"] for part in ("_true", "", "_bias"))
        assert bias["value"] == pytest.approx(trick["value"] - truth["value"])
        assert trick["bound"] == "estimate"
        for part in ("dv", "nwj"):
            bound = numbers[f"synthetic_kl_{part}"]
            assert bound["bound"] == ("lower" if numbers["synthetic_kl_draws"]["value"] >= 30 else "estimate")
            assert bound["value"] < truth["value"] + 4 * bound["stderr"]
    share = [found[n]["synthetic_kl"]["value"] / found[n]["synthetic_kl_true"]["value"] for n in (1, 100)]
    assert share[0] == pytest.approx(1.0, abs=0.1)
    assert share[1] < 0.7 < share[0]
    records = synthetic_records((), store.path)
    assert [record["dimensions"] for record in records] == [1, 100]
    assert records[0]["estimate"] == found[1]["synthetic_kl"]["value"]
    assert to_svg(synthetic_figure(records)).startswith("<svg")


def test_a_store_without_the_study_says_how_to_make_it(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "runs")
    small = {"name": "mlp", "hidden": [4]}
    parts = {part: {"name": "gaussian", "network": small} for part in ("encoder", "decoder")}
    model = {"name": "vae", "latent_dim": 1, **parts}
    given = {"data": {"name": "linear-gaussian", "n": 50}, "model": model, "objective": "beta", "training": {"epochs": 1}}
    run = execute(single(from_mapping(given, "t"), ()), store)["run"]
    for runs, says in (((), "holds no finished critic"), ((str(store.path / run),), "is no finished critic")):
        with pytest.raises(UserError, match=rf"{says} .* make some with 'ratelab sweep rosca2018/synthetic-kl'"):
            synthetic_records(runs, store.path)


def test_the_shipped_study_has_the_papers_dimensions() -> None:
    recipes = expand(read_recipe("rosca2018/synthetic-kl"))
    assert [recipe.data["dimensions"] for recipe in recipes] == [1, 10, 100, 1000]
    assert {(r.model["layers"], r.model["width"]) for r in recipes} == {(4, 512)}
    assert {r.training.epochs * r.training.passes * r.data["n"] // r.training.batch_size for r in recipes} == {20_000}


def test_other_data_and_other_models_are_refused() -> None:
    given = {"data": "digits", "model": "gaussian-critic", "objective": "discrimination"}
    with pytest.raises(UserError, match="use data 'gaussian-pair'"):
        MODELS.build(single(from_mapping(given, "t"), ()).model, load("digits"))
    recipe = resolve({"data": "digits", "model": "vae", "objective": "beta", "evaluation": {"estimators": ["synthetic-kl"]}})
    with pytest.raises(UserError, match="is of critics of two known laws"):
        build_trainer(recipe, load("digits"), torch.device("cpu"))

"""Recipes resolved: defaults filled in, mistakes named, identity that depends on what matters and nothing else."""

import json
from typing import Any

import pytest
from tiny_runs import TINY, tiny

from ratelab.core.errors import UserError
from ratelab.runs import Recipe, resolve


def changed(**sections: Any) -> dict[str, Any]:
    return {**TINY, **sections}


def test_every_default_is_written_out() -> None:
    recipe = resolve({"data": "digits", "model": "vae"})
    document = recipe.document()
    assert {"name": "beta", "beta": 1.0, "annealing": 0.0}.items() <= document["objective"].items()
    assert document["model"]["encoder"]["network"]["hidden"] == [256, 256]
    assert document["training"]["batch_size"] == 100
    assert document["evaluation"]["estimators"][0]["name"] == "rate-distortion"
    assert document["seed"] == 0


def test_a_resolved_recipe_resolves_to_itself_through_json() -> None:
    recipe = tiny("evaluation.estimators=[iwae]", "training.early_stopping={}")
    again = resolve(json.loads(json.dumps(recipe.document())))
    assert again.key() == recipe.key()


def test_a_recipe_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        tiny().seed = 3


def test_rates_and_distortion_are_always_measured() -> None:
    names = [node["name"] for node in tiny("evaluation.estimators=[psnr]").evaluation.estimators]
    assert names == ["rate-distortion", "psnr"]
    assert [n["name"] for n in tiny("evaluation.estimators=[psnr, rate-distortion]").evaluation.estimators] == [
        "psnr",
        "rate-distortion",
    ]


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (changed(objectve="beta"), "unknown key 'objectve'; did you mean 'objective'?"),
        (changed(objective="betta"), "objective: unknown objective 'betta'; did you mean 'beta'?"),
        (changed(objective={"name": "beta", "bta": 1}), "objective.bta: unknown key 'bta'; did you mean 'beta'?"),
        (changed(objective={"name": "beta", "beta": -1}), "greater than or equal to 0; got -1"),
        (changed(objective={"name": "beta", "beta": "1"}), "objective.beta"),
        (changed(objective={"weight": 1}), "objective: expected an objective by name, e.g. 'objective: beta'"),
        (changed(objective={"name": ["beta"]}), "unknown objective"),
        (changed(model={"name": "vae", "latent_dim": 2.5}), "model.latent_dim: expected a whole number; got 2.5"),
        (changed(model={"name": "vae", "encoder": "gausian"}), "model.encoder: unknown encoder 'gausian'"),
        (
            changed(model={"name": "vae", "encoder": {"name": "gaussian", "network": {"name": "mlp", "hiden": [3]}}}),
            "model.encoder.network.hiden: unknown key 'hiden'; did you mean 'hidden'?",
        ),
        (changed(data="digit"), "data: unknown data set 'digit'; did you mean 'digits'?"),
        (changed(training={"epoch": 3}), "training.epoch: unknown key 'epoch'; did you mean 'epochs'?"),
        (changed(training={"epochs": 0}), "training.epochs: must be greater than or equal to 1; got 0"),
        (changed(training={"epochs": True}), "training.epochs: expected a whole number; got True"),
        (changed(training={"early_stopping": {"patiance": 3}}), "did you mean 'patience'?"),
        (changed(training=[3]), "training: expected keys and values"),
        (changed(evaluation={"estimators": ["iwea"]}), "evaluation.estimators: unknown estimator 'iwea'"),
        (changed(evaluation={"estimators": ["iwae", "iwae"]}), "'iwae' is listed twice"),
        (changed(optimiser={"name": "adam", "lr": float("inf")}), "optimiser: an option is infinite"),
        (changed(optimiser={"name": "adam", "lr": -1e-3}), "optimiser.lr: must be greater than 0"),
        (changed(seed=-1), "seed: must be greater than or equal to 0; got -1"),
        (changed(seed=1.5), "seed: expected a whole number; got 1.5"),
        (changed(title=3), "title: expected a text; got 3"),
        ({"model": "vae"}, "data: this key is required"),
        (
            changed(training={"early_stopping": 5}),
            "training.early_stopping: expected keys and values, e.g. {patience: 50}; got 5",
        ),
        (changed(evaluation={"estimators": "psnr"}), "evaluation.estimators: expected a list, e.g. [psnr]; got 'psnr'"),
        (changed(evaluation={"estimators": [5]}), "evaluation.estimators: expected an estimator by name"),
        (
            changed(model={"name": "vae", "encoder": 5}),
            "model.encoder: expected an encoder by name, e.g. 'model.encoder: gaussian'",
        ),
        (
            changed(model={"name": "vae", "encoder": {"name": "gaussian", "network": {"name": "mlp", "hidden": 5}}}),
            "model.encoder.network.hidden: expected a list, e.g. [5]; got 5",
        ),
        (changed(data={"name": "array", "path": None}), "data.path: expected a text; got None"),
        (changed(data={"name": "array", "path": "x", "layout": "CHW"}), "data.layout: must be 'auto', 'NCHW', 'NHWC' or 'HW'"),
    ],
)
def test_mistakes_are_named_with_what_to_type(recipe: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        resolve(recipe)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def identity(recipe: Recipe, digest: str = "d", code: str = "") -> str:
    return recipe.identity(digest, {"module": code} if code else {})


def test_identity_depends_on_all_that_matters() -> None:
    known = identity(tiny())
    assert len(known) == 64
    changes = [
        "objective.beta=0.5",
        "seed=1",
        "training.epochs=5",
        "training.batch_size=51",
        "data.limit=201",
        "optimiser.lr=0.1",
    ]
    others = [identity(tiny(change)) for change in changes]
    others += [identity(tiny("evaluation.estimators=[iwae]")), identity(tiny(), "other"), identity(tiny(), code="x")]
    assert len({known, *others}) == len(others) + 1


def test_identity_depends_on_nothing_else() -> None:
    known = identity(tiny())
    assert identity(tiny("title=another")) == known
    assert identity(tiny("objective.beta=1")) == identity(tiny("objective.beta=1.0")) == known
    assert identity(resolve(dict(reversed(TINY.items())))) == known
    assert identity(tiny("objective={name: beta}", "optimiser=adam", "training.early_stopping=null")) == known

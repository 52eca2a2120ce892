"""Helpers that estimators ask for: models that a store trains once, on the data of the run that is measured.

Judges (classifiers) and densities of data have a recipe by name, and know nothing of the run. What such a recipe says about its data
must be what the run's are, but for how many examples lie in which split: those are the run's. Critics and densities of codes learn
about it: their recipe is made of the estimator's options, and names the run.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ratelab.core.errors import UserError
from ratelab.core.estimator import Estimator
from ratelab.estimators import ESTIMATORS
from ratelab.models import MODELS
from ratelab.runs.grid import single
from ratelab.runs.recipe import Recipe, resolve
from ratelab.runs.shelf import read_recipe, shipped

Examples = Callable[[str], int]
JUDGE = "classifier"
SPLITS = ("limit", "held_out", "validation", "batches", "test")  # options of data that choose examples and do not change them


def helper_recipe(recipe: Recipe, node: Mapping[str, Any], of: str, examples: Examples) -> Recipe:
    """The recipe of the helper that an estimator's resolved node needs to measure the run ``of``, which was made by ``recipe``.

    ``examples``: how many a split has. Raises :class:`UserError` where there is no such recipe, or it is not one of such a helper.
    """
    target: type[Estimator] = ESTIMATORS[node["name"]].target
    sections = target.lesson(node, 1)
    if sections is None:
        return _named_recipe(recipe.data, node, target.needs.helper or "")
    learner = MODELS[sections["model"]["name"]].target
    sections = target.lesson(node, examples(learner.learns_from))  # type: ignore[attr-defined]
    assert sections is not None
    return resolve({**sections, "model": {**sections["model"], "of": of}, "data": recipe.data})


def _named_recipe(data: Mapping[str, Any], node: Mapping[str, Any], kind: str) -> Recipe:
    """The recipe that the option ``kind`` of an estimator's node names, on the given data."""
    where = f"estimator '{node['name']}': {kind} '{node[kind]}'"
    try:
        written = read_recipe(node[kind])
        found = single(written if "data" in written.base else replace(written, base={**written.base, "data": dict(data)}))
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    if found.model["name"] != kind:
        raise UserError(f"{where} is a recipe of model '{found.model['name']}'; name one of model '{kind}'")
    if examples_of(found.data) != examples_of(data):
        others = recipes_for(data, kind)
        advice = f", e.g. {' or '.join(others)}" if others else ", or one without 'data', which takes those of the run"
        raise UserError(f"{where} is of {told(found.data, data)}; name a recipe of the run's data{advice}")
    return resolve({**found.document(), "data": data})


def examples_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """A resolved ``data`` section without the options that say how many examples lie in which split."""
    return {option: value for option, value in data.items() if option not in SPLITS}


def told(recipe: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    """What tells a recipe's data from those of a run.

    >>> told({"name": "mnist", "binarise": "round"}, {"name": "mnist", "binarise": "none"})
    'mnist with binarise: round, the run of mnist with binarise: none'
    >>> told({"name": "mnist", "binarise": "round"}, {"name": "digits", "binarise": "threshold"})
    'mnist, the run of digits'
    """
    if recipe["name"] != run["name"]:
        return f"{recipe['name']}, the run of {run['name']}"
    options = [key for key in examples_of(recipe) if recipe[key] != run.get(key)]
    mine, its = (", ".join(f"{key}: {data.get(key)}" for key in options) for data in (recipe, run))
    return f"{recipe['name']} with {mine}, the run of {run['name']} with {its}"


def recipes_for(data: Mapping[str, Any], kind: str = JUDGE) -> list[str]:
    """The shipped recipes of model ``kind`` on data like these (a resolved section), by name."""
    found = []
    for name in shipped():
        written = read_recipe(name)
        model = written.base.get("model")
        if isinstance(model, Mapping) and model.get("name") == kind and examples_of(single(written).data) == examples_of(data):
            found.append(name)
    return found

"""Helpers that estimators ask for: models that a store trains once, on the data of the run that is measured.

Judges (classifiers) and densities of data have a recipe by name, and know nothing of the run. Critics and densities of codes learn
about it: their recipe is made of the estimator's options, and names the run.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ratelab.core.errors import UserError
from ratelab.core.estimator import Estimator
from ratelab.estimators import ESTIMATORS
from ratelab.models import MODELS
from ratelab.runs.grid import single
from ratelab.runs.recipe import Recipe, resolve
from ratelab.runs.shelf import read_recipe

Examples = Callable[[str], int]


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
        found = single(read_recipe(node[kind]))
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    if found.model["name"] != kind:
        raise UserError(f"{where} is a recipe of model '{found.model['name']}'; name one of model '{kind}'")
    return resolve({**found.document(), "data": data})

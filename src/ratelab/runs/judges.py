"""Judges that estimators ask for: classifiers, which a store trains once on the data of those who ask."""

from collections.abc import Mapping
from typing import Any

from ratelab.core.errors import UserError
from ratelab.runs.grid import single
from ratelab.runs.recipe import Recipe, resolve
from ratelab.runs.shelf import read_recipe


def judge_recipe(data: Mapping[str, Any], node: Mapping[str, Any]) -> Recipe:
    """The recipe that the option ``classifier`` of an estimator's resolved node names, on the given data.

    Raises :class:`UserError` where there is no such recipe, or it is not one of a classifier.
    """
    where = f"estimator '{node['name']}': classifier '{node['classifier']}'"
    try:
        found = single(read_recipe(node["classifier"]))
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    if found.model["name"] != "classifier":
        raise UserError(f"{where} is a recipe of model '{found.model['name']}'; name one of model 'classifier'")
    return resolve({**found.document(), "data": data})

"""From a resolved recipe to what it describes: model, objective, trainer."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch

from ratelab.core.batch import seed_for
from ratelab.core.dataset import Dataset
from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.core.objective import Setting
from ratelab.evaluation import Helper, check_estimators
from ratelab.models import MODELS
from ratelab.objectives import OBJECTIVES
from ratelab.runs.judges import helper_recipe
from ratelab.runs.points import check_betas
from ratelab.runs.recipe import BASIC, Recipe
from ratelab.training import Trainer

Subject = Callable[[str], Model]
"""From the name of a run, with its betas where it says any, to its trained model."""


def no_subject(of: str) -> Model:
    """What is said where a model learns about another run and there is no store to find it in."""
    raise UserError(f"model.of: run '{of}' is needed to build this model, and there is no store here to find it in")


def build_model(recipe: Recipe, dataset: Dataset, subject: Subject = no_subject) -> Model:
    """The untrained model, with initial weights that depend on the recipe's seed alone. ``subject`` gives the run it learns about.

    Raises :class:`UserError` where its parts do not fit each other or the data, and where it is too large for the memory.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(recipe.seed, "model"))
        try:
            wiring = [dataset, subject(recipe.model["of"])] if "of" in recipe.model else [dataset]
            model: Model = MODELS.build(recipe.model, *wiring)
        except Exception as error:
            if isinstance(error, UserError) or not _too_large(error):
                raise
            raise UserError("model: it is larger than the memory here; make its layers or its latents smaller") from None
    return model


def _too_large(error: Exception) -> bool:
    """Whether an error is one of the ways in which torch says that no memory is so large."""
    signs = ("can't allocate memory", "out of memory", "overflow")
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in signs)


def build_trainer(recipe: Recipe, dataset: Dataset, device: torch.device, subject: Subject = no_subject) -> Trainer:
    """A trainer at epoch 0. Raises :class:`UserError` where the recipe's parts do not fit each other or the data."""
    model = build_model(recipe, dataset, subject)
    check_betas(recipe, model)
    more = [node for node in recipe.evaluation.estimators if node["name"] != BASIC]
    for line in check_estimators(model, dataset, more, _untrained(recipe, dataset)).values() if more else ():
        raise UserError(f"evaluation.estimators: {line}")
    if model.learns_from == "validation":
        dataset = replace(dataset, train=dataset.validation, validation=dataset.train)
    setting = Setting(model.event_shape, model.latent_shapes, recipe.training.epochs, len(dataset.train))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(recipe.seed, "objective"))
        objective = OBJECTIVES.build(recipe.objective, setting)
    return Trainer(model, objective, dataset, recipe.optimiser, recipe.training, recipe.seed, device)


def _untrained(recipe: Recipe, dataset: Dataset) -> Helper:
    """Gives the helpers that estimators ask for before they are trained: enough to find out whether they fit."""

    def helper(node: Mapping[str, Any], model: Model) -> Model:
        wanted = helper_recipe(recipe, node, "untrained", lambda which: len(getattr(dataset, which)))
        try:
            return build_model(wanted, dataset, lambda of: model)
        except UserError as error:
            raise UserError(f"estimator '{node['name']}': {error}") from None

    return helper

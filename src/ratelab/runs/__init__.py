"""Runs: a recipe (strict, frozen, hashed) -> a run in the store; sweeps that resume."""

from ratelab.runs.circumstances import Circumstances
from ratelab.runs.execute import execute
from ratelab.runs.grid import expand, single
from ratelab.runs.recipe import Recipe, resolve
from ratelab.runs.results import finished, known
from ratelab.runs.shelf import from_mapping, read_recipe, shipped, tiers
from ratelab.runs.sweep import sweep
from ratelab.runs.trained import Helpers, Trained, open_run, recipe_of

__all__ = [
    "Circumstances",
    "Helpers",
    "Recipe",
    "Trained",
    "execute",
    "expand",
    "finished",
    "from_mapping",
    "known",
    "open_run",
    "read_recipe",
    "recipe_of",
    "resolve",
    "shipped",
    "single",
    "sweep",
    "tiers",
]

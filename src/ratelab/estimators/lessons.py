"""How helpers of an estimator are trained: the sections of their recipes, from the estimator's options."""

import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

Count = Annotated[int, Field(ge=1, le=10**9)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
LayerNumber = Annotated[int, Field(ge=1, le=10**9)] | None
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
EPOCHS = 10  # rows of a helper's log


def plan(steps: int, batch_size: int, examples: int) -> dict[str, Any]:
    """A ``training`` section of about ``steps`` steps, in whole passes over the examples and at most ten epochs.

    >>> plan(10_000, 100, 50_000)
    {'epochs': 10, 'passes': 2, 'batch_size': 100, 'validate_every': 10}
    """
    total = max(1, round(steps / math.ceil(examples / batch_size)))
    epochs = min(EPOCHS, total)
    passes = round(total / epochs)
    return {"epochs": epochs, "passes": passes, "batch_size": batch_size, "validate_every": epochs}


def sections(
    model: Mapping[str, Any], objective: Mapping[str, Any], optimiser: Mapping[str, Any], node: Mapping[str, Any], examples: int
) -> dict[str, Any]:
    """A whole recipe but for the data; steps, batch size and seed are the estimator's."""
    return {
        "title": f"helper of {node['name']}",
        "model": dict(model),
        "objective": dict(objective),
        "optimiser": {"name": "adam", "lr": node["lr"], **optimiser},
        "training": plan(node["steps"], node["batch_size"], examples),
        "seed": node["seed"],
    }

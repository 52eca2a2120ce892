"""Where the jobs of a sweep are made: one file for each engine, behind one small interface. No engine changes a result or an id."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ratelab.core.errors import UserError, nearest
from ratelab.core.table import describe
from ratelab.runs.circumstances import Circumstances
from ratelab.runs.engines.engine import Engine, Lost, Made, Task, Unseen
from ratelab.runs.engines.local import LocalEngine, available_cores
from ratelab.runs.engines.ray import RayEngine, RayOptions
from ratelab.runs.engines.slurm import JOBS, SlurmEngine, SlurmOptions
from ratelab.runs.yaml12 import parse

__all__ = ["ENGINES", "Engine", "Lost", "Made", "Task", "Unseen", "check_name", "engine_options", "open_engine"]

ENGINES = ("local", "ray", "slurm")
S = TypeVar("S", bound=BaseModel)


def open_engine(
    name: str, options: Mapping[str, Any], store: Path, circumstances: Circumstances, workers: int | None, runs: int
) -> Engine:
    """The engine of that name, ready to take tasks. ``workers``: None for as many as it has room for; never more than ``runs``.

    Raises :class:`UserError` for a name or an option that does not exist, an extra that is not installed, a cluster that does not
    answer, and shares that no machine of it has.
    """
    check_name(name)
    most = None if workers is None else min(workers, runs)
    if name == "ray":
        return RayEngine(store, circumstances, most, _checked(RayOptions, options, "engine ray"))
    if name == "slurm":
        return SlurmEngine(store, circumstances, most or min(runs, JOBS), _checked(SlurmOptions, options, "engine slurm"))
    if options:
        raise UserError(f"engine local: it has no option '{next(iter(options))}'; --workers is all there is to choose")
    return LocalEngine(store, circumstances, most or min(available_cores(), runs))


def check_name(name: str) -> None:
    """:class:`UserError` for an engine that does not exist."""
    if name not in ENGINES:
        raise UserError(f"unknown engine '{name}'{nearest(name, ENGINES)}")


def engine_options(assignments: Sequence[str]) -> dict[str, Any]:
    """Options as typed on the command line.

    >>> engine_options(["gpus=0.25", "address=10.0.0.1:6379"])
    {'gpus': 0.25, 'address': '10.0.0.1:6379'}
    """
    found: dict[str, Any] = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals or not key or not value:
            raise UserError(f"engine option '{text}': expected KEY=VALUE, e.g. gpus=0.25")
        found[key] = parse(value, f"engine option '{text}'")
    return found


def _checked(schema: type[S], given: Mapping[str, Any], where: str) -> S:
    try:
        return schema.model_validate(dict(given))
    except ValidationError as error:
        raise UserError(describe(error, where, schema)) from None

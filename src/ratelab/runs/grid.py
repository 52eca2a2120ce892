"""A recipe with sweeps -> the list of its runs.

``key=v1,v2``, ``key=log:0.1:10:21`` and ``key=lin:0:1:5`` on the command line, the same (or lists) under ``sweep:`` in a file.
``families:`` lists sets of overrides, e.g. two architectures, each of which goes through the whole grid.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from ratelab.core.asked import check_words
from ratelab.core.errors import UserError
from ratelab.runs.override import Override, apply, parse_values, split_assignment
from ratelab.runs.places import placed
from ratelab.runs.recipe import Recipe, resolve
from ratelab.runs.shelf import RecipeFile, members
from ratelab.runs.tier import with_parts

Axis = tuple[tuple[str, ...], list[Any]]
LARGEST = 100_000


def expand(recipe: RecipeFile, assignments: Sequence[str] = ()) -> list[Recipe]:
    """All runs of a recipe, each once, in the order families, then axes, the last axis fastest.

    ``assignments`` (``key=value`` or ``key=values``) have the last word: over the file, its families, its sweep and its tier.
    Raises :class:`UserError` that names the recipe and the key.
    """
    typed = [_placed(axis_of(text), Path()) for text in assignments]
    names = {path for path, _ in typed}
    try:
        check_words([path[1] for path in names if path[0] == "objective" and len(path) == 2])
        swept = [_placed(file_axis(key, values), recipe.folder) for key, values in recipe.sweep.items()]
        swept = [axis for axis in swept if axis[0] not in names]
        runs = math.prod(len(values) for _, values in [*swept, *typed]) * max(1, len(recipe.families))
        if runs > LARGEST:
            raise UserError(f"this sweep has {runs} runs, more than {LARGEST}; take fewer values")
        unique = {run.key(): run for run in map(resolve, _mappings(recipe, swept, typed))}
    except UserError as error:
        raise UserError(f"{recipe.source}: {error}") from None
    return list(unique.values())


def single(recipe: RecipeFile, assignments: Sequence[str] = ()) -> Recipe:
    """The one run of a recipe; :class:`UserError` where it describes several."""
    runs = expand(recipe, assignments)
    if len(runs) > 1:
        raise UserError(f"{recipe.source} describes {len(runs)} runs; use 'ratelab sweep', or fix its keys to one value each")
    return runs[0]


def _mappings(recipe: RecipeFile, swept: Sequence[Axis], typed: Sequence[Axis]) -> Iterator[dict[str, Any]]:
    for start, family in members(recipe):
        home = {key: recipe.folder if key in recipe.base else start.folder for key in start.base}
        base = {key: placed((key,), value, home[key]) for key, value in start.base.items()}
        fixed = [Override(path, placed(path, value, recipe.folder)) for path, value in _paths({**family, **recipe.keys})]
        for values in product(*(values for _, values in [*swept, *typed])):
            inside, last = values[: len(swept)], values[len(swept) :]
            sized = with_parts(_changed(base, [*fixed, *_overrides(swept, inside)]), start.parts)
            yield _changed(sized, _overrides(typed, last))


def _overrides(axes: Sequence[Axis], values: Sequence[Any]) -> list[Override]:
    return [Override(path, value) for (path, _), value in zip(axes, values, strict=True)]


def _changed(recipe: dict[str, Any], overrides: Sequence[Override]) -> dict[str, Any]:
    for override in overrides:
        recipe = apply(recipe, override)
    return recipe


def _paths(family: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    return ((path_of(key), value) for key, value in family.items())


def _placed(axis: Axis, folder: Path) -> Axis:
    path, values = axis
    return path, [placed(path, value, folder) for value in values]


def path_of(key: Any) -> tuple[str, ...]:
    """A dotted key as a path."""
    path = tuple(str(key).split("."))
    if not all(path):
        raise UserError(f"'{key}': expected a dotted key, e.g. objective.beta")
    return path


def axis_of(assignment: str) -> Axis:
    """One assignment as a key and its values; a plain ``key=value`` has one.

    >>> axis_of("objective.beta=0.5,1")
    (('objective', 'beta'), [0.5, 1])
    """
    path, text = split_assignment(assignment)
    where = f"'{assignment}'"
    spaced = spacing(text, where)
    return path, parse_values(pieces(text), where) if spaced is None else spaced


def file_axis(key: Any, values: Any) -> Axis:
    """One entry of a file's ``sweep``: a list of values, or their text as on the command line."""
    where = f"sweep.{key}"
    if isinstance(values, str) and values.strip():
        spaced = spacing(values, where)
        values = parse_values(pieces(values), where) if spaced is None else spaced
    if not isinstance(values, list) or not values:
        raise UserError(f"{where}: no values; give a list, e.g. [0.5, 1, 2], or log:0.1:10:11")
    return path_of(key), values


def spacing(text: str, where: str) -> list[Any] | None:
    """``log:a:b:n`` or ``lin:a:b:n`` as n numbers from a to b, both included; None for any other text.

    Rounded to 6 digits, so that a run has the same id whatever the machine's logarithm does in its last digit.

    >>> spacing("log:0.1:10:5", "example")
    [0.1, 0.316228, 1.0, 3.16228, 10.0]
    """
    kind, *numbers = text.strip().split(":")
    if kind not in {"log", "lin"} or not numbers:
        return None
    try:
        low, high, n = float(numbers[0]), float(numbers[1]), int(numbers[2])
        fine = len(numbers) == 3 and 2 <= n <= LARGEST and math.isfinite(low) and math.isfinite(high)
    except (ValueError, IndexError):
        fine = False
    if not fine:
        raise UserError(f"{where}: expected {kind}:FROM:TO:COUNT with at least 2 values, e.g. {kind}:0.1:10:21")
    if kind == "log" and (low <= 0 or high <= 0):
        raise UserError(f"{where}: log: needs positive ends; use lin:FROM:TO:COUNT")
    steps = [i / (n - 1) for i in range(n)]
    values = [low * (high / low) ** s for s in steps] if kind == "log" else [low + (high - low) * s for s in steps]
    return [float(f"{value:.6g}") for value in values]


def pieces(text: str) -> list[str]:
    """A text cut at the commas outside brackets and quotes.

    >>> pieces("[32,32],[64,64]")
    ['[32,32]', '[64,64]']
    """
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote or letter in "'\"":
            quote = "" if letter == quote else quote or letter
        else:
            depth += (letter in "[{") - (letter in "]}")
        if letter == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return parts

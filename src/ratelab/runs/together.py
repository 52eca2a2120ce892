"""Which runs of a sweep are trained as one stack: chosen from their recipes, the network and the machine. No part of any run's identity.

On one core a stack of small fully connected networks trains several times as fast as one network after another, a stack of large ones
little faster, and a stack of convolutional ones no faster: those go one process per core.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from ratelab.core.errors import UserError
from ratelab.runs.assemble import Subject, build_trainer, no_subject
from ratelab.runs.circumstances import Circumstances
from ratelab.runs.code import named_code
from ratelab.runs.recipe import Recipe, canonical
from ratelab.training import convolves, refusal

Together = Literal["auto"] | int
LARGEST_STACKS = ((100_000, 32), (2_000_000, 8))  # up to so many parameters, so many members on a CPU
ON_CUDA = 128
NUMBERS = ("objective", "optimiser")  # the parts of a recipe whose numbers may differ within a stack


@dataclass(frozen=True)
class Choice:
    """Runs that are alike but for numbers, cut into stacks of at most ``size``, and a line that says why."""

    stacks: tuple[tuple[str, ...], ...]
    why: str


def choose(
    runs: Mapping[str, Recipe], under: Circumstances, workers: int, together: Together, subject: Subject = no_subject
) -> list[Choice]:
    """Cut runs (id -> recipe) into stacks; :class:`UserError` where ``together`` is neither ``auto`` nor a number from 1.

    Only runs of one :func:`kind` share a stack, those of one optimiser beside each other, which makes one update of them; where
    there are several kinds, each line says what its own has that others have not.
    """
    if together != "auto" and (not isinstance(together, int) or together < 1):
        raise UserError(f"together: '{together}' is no size of a stack; give auto, or a number from 1 (1: every run by itself)")
    if together == 1:
        return [Choice(tuple((run,) for run in runs), "every run by itself, as asked for")] if runs else []
    kinds: dict[str, list[str]] = {}
    for run, recipe in sorted(runs.items(), key=lambda item: canonical(item[1].document()["optimiser"])):
        kinds.setdefault(kind(recipe), []).append(run)
    choices, share = [], -(-len(runs) // workers)
    firsts = [runs[members[0]] for members in kinds.values()]
    for members, apart in zip(kinds.values(), told_apart(firsts), strict=True):
        alone = (1, "the only one of its kind")
        size, why = largest(runs[members[0]], under, share, together, subject) if len(members) > 1 else alone
        stacks = tuple(cut(members, size))
        choices.append(Choice(stacks, f"{len(members)} run(s){apart}, {_made(stacks, workers)}: {why}"))
    return choices


def told_apart(recipes: Sequence[Recipe]) -> list[str]:
    """For each of several kinds of run the few keys that make it one of its own, names of parts first, e.g. `` of model.name vae``."""
    leaves = [_leaves(recipe.document()) for recipe in recipes]
    told = []
    for own in leaves:
        keys: list[str] = []
        others = [other for other in leaves if other is not own]
        for key in sorted(own, key=lambda key: (not key.endswith("name"), key.count("."), key)):
            alike = [other for other in others if other.get(key) == own[key]]
            if len(alike) < len(others):
                keys, others = [*keys, f"{key} {own[key]}"], alike
        told.append(f" of {', '.join(keys)}" if keys else "")
    return told


def _leaves(document: Mapping[str, Any]) -> dict[str, Any]:
    """What :func:`kind` looks at, as ``{"a.b": value}``."""
    found: dict[str, Any] = {}
    for key, value in document.items():
        if key in ("seed", "title"):
            continue
        value = _without_numbers(value) if key in NUMBERS else value
        inner = {f"{key}.{name}": leaf for name, leaf in _leaves(value).items()} if isinstance(value, Mapping) else {key: value}
        found |= inner
    return found


def _made(stacks: Sequence[Sequence[str]], workers: int) -> str:
    largest = max(map(len, stacks))
    if largest > 1:
        return f"{len(stacks)} stack(s) of up to {largest}"
    side_by_side = min(workers, len(stacks))
    return "each by itself" + (f", one in each of {side_by_side} processes" if side_by_side > 1 else "")


def kind(recipe: Recipe) -> str:
    """What runs of one stack share: everything but the seed, the title and the numbers of the objective and the optimiser."""
    document = recipe.document()
    for name in ("seed", "title"):
        del document[name]
    return canonical({**document, **{name: _without_numbers(document[name]) for name in NUMBERS}})


def _without_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_numbers(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_without_numbers(entry) for entry in value]
    return "number" if isinstance(value, float) else value


def largest(
    recipe: Recipe, under: Circumstances, share: int, together: Together, subject: Subject = no_subject
) -> tuple[int, str]:
    """How many runs like this one go into one stack, and why. ``share``: the runs there are for each worker."""
    if any(named_code(recipe.document())):
        return 1, "code of your own runs in the workers alone"
    try:
        trainer = build_trainer(recipe, under.dataset(recipe), under.torch_device(), subject)
    except Exception as error:  # whatever is wrong with the recipe is reported by the run itself
        return 1, f"their model cannot be made ({error if isinstance(error, UserError) else type(error).__name__})"
    refused = refusal(trainer)
    if refused is not None:
        return 1, refused
    if together != "auto":
        return int(together), "as asked for"
    count = sum(parameter.numel() for parameter in trainer.model.parameters())
    if trainer.device.type == "cuda":
        return min(ON_CUDA, share), f"{count:,} parameters on a GPU"
    if convolves(trainer.model):
        return 1, "convolutions gain nothing from stacks on a CPU, and all from a core of their own"
    most = next((most for limit, most in LARGEST_STACKS if count <= limit), 1)
    words = f"fully connected networks of {count:,} parameters"
    return (min(most, share), words) if most > 1 else (1, f"{words} fill a core by themselves")


def cut(members: Sequence[str], size: int) -> list[tuple[str, ...]]:
    """``members`` in order, in as few parts of at most ``size`` as can be, as even as can be.

    >>> cut("abcde", 3)
    [('a', 'b', 'c'), ('d', 'e')]
    """
    parts = -(-len(members) // size)
    ends = (-(-i * len(members) // parts) for i in range(parts + 1))
    return [tuple(members[a:b]) for a, b in pairwise(ends)]

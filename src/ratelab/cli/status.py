"""``ratelab sweep --status``: how far a store is, asked from any machine that sees it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

from rich.console import Console

from ratelab.cli.tables import table
from ratelab.cli.terminal import answer

MANY = 60  # runs; of more, only those that are neither over nor waiting are listed
QUIET = ("done", "diverged", "waiting")
WIDTH, CUT = 40, "…"  # of a reason in the table


def show_status(store: Path, recipe: str | None, grid: Sequence[str], allow_code: bool, as_json: bool) -> None:
    """Print how far the runs of a store are; with a recipe, those of its grid, the ones that were not begun among them."""
    from ratelab.analysis.progress import progress_document

    wanted = None if recipe is None else _wanted(store, recipe, grid, allow_code)
    found = progress_document(store, wanted)
    answer(found, as_json, lambda out: _print(found, out))


def _wanted(store: Path, recipe: str, grid: Sequence[str], allow_code: bool) -> dict[str, dict[str, Any]]:
    from ratelab.runs import Circumstances, expand, read_recipe
    from ratelab.runs.execute import Run
    from ratelab.store import Store

    under, home = Circumstances(device="auto", allow_code=allow_code), Store(store)
    return {Run(each, home, under).folder.id: each.document() for each in expand(read_recipe(recipe), grid)}


def _print(found: dict[str, Any], out: Console) -> None:
    counts = [f"{number} {state}" for state, number in found["counts"].items() if number]
    out.print(f"{found['store']}: {len(found['runs'])} run(s): {', '.join(counts) or 'none yet'}")
    listed = [run for run in found["runs"] if len(found["runs"]) <= MANY or run["state"] not in QUIET]
    if not listed:
        return
    made = table("run", "", "state", "epoch>", "left>")
    for run in listed:
        left = "" if run["seconds_left"] is None else f"{run['seconds_left']:.0f} s"
        made.add_row(run["run"], run["name"], _state(run), f"{run['epoch']}/{run['epochs'] or '?'}", left)
    out.print(made)
    if any(_state(run).endswith(CUT) for run in listed):
        out.print("--json has the reasons in full")


def _state(run: Mapping[str, Any]) -> str:
    """A run's state and, as far as it fits into a table, the reason for it.

    >>> _state({"state": "diverged", "why": "the training stopped being finite in epoch 31; estimates are of the last good state"})
    'diverged: the training stopped being…'
    """
    return shorten(f"{run['state']}: {run['why']}", WIDTH, placeholder=CUT) if run.get("why") else str(run["state"])

"""``ratelab sweep --status``: how far a store is, asked from any machine that sees it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from ratelab.cli.tables import table
from ratelab.cli.terminal import answer

MANY = 60  # runs; of more, only those that are neither over nor waiting are listed
QUIET = ("done", "diverged", "waiting")


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
        made.add_row(run["run"], run["name"], run.get("why") or run["state"], f"{run['epoch']}/{run['epochs'] or '?'}", left)
    out.print(made)

"""How far the runs of a store are, while they are being made or after: read from the disk alone, by anyone who sees it."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ratelab.analysis.family import families
from ratelab.analysis.point import settings
from ratelab.core.errors import UserError
from ratelab.store import RunFolder, Store

STATES = ("done", "diverged", "running", "stopped", "failed", "waiting", "damaged")
Document = dict[str, Any]


def progress_document(path: Path | str, wanted: Mapping[str, Mapping[str, Any]] | None = None) -> Document:
    """The JSON document of ``ratelab sweep --status --json`` (schema 1).

    ``{"schema", "store", "counts": {state: number}, "runs": [{"run", "name", "state", "epoch", "epochs", "seconds_left", "why"}]}``.
    A run is ``done`` or ``diverged``, ``running`` (a live process makes it), ``stopped`` (begun, and nobody makes it), ``failed``,
    ``damaged``, or ``waiting`` (not begun). ``wanted``: the runs to look at, id -> recipe; None for all that were begun.
    ``seconds_left``: what a running one needs at the speed of its last epoch, without its evaluation; null where nothing tells.
    Raises :class:`UserError` where there is no store.
    """
    store = Store(path)
    runs = [store.run(run) for run in wanted] if wanted is not None else store.runs()
    recipes = {run: dict(recipe) for run, recipe in (wanted or {}).items()}
    found = [_progress(folder, recipes) for folder in runs]
    for entry, name in zip(found, _names([recipes[folder.id] for folder in runs]), strict=True):
        entry["name"] = name
    counts = Counter(entry["state"] for entry in found)
    return {"schema": 1, "store": str(path), "counts": {state: counts[state] for state in STATES}, "runs": found}


def _progress(folder: RunFolder, recipes: dict[str, Document]) -> Document:
    """One run; its recipe is read into ``recipes`` where it is not there yet."""
    state, why = _state(folder)
    if folder.id not in recipes:
        try:
            recipes[folder.id] = folder.recipe()
        except UserError as error:
            recipes[folder.id], state, why = {}, "damaged", str(error)
    row = folder.last_row() or {}
    epoch, epochs = row.get("epoch", 0), recipes[folder.id].get("training", {}).get("epochs")
    left = (epochs - epoch) * row["seconds"] if state == "running" and epochs and "seconds" in row else None
    entry = {"run": folder.id, "name": "", "state": state, "epoch": epoch, "epochs": epochs, "seconds_left": left}
    return {**entry, "why": why} if why else entry


def _state(folder: RunFolder) -> tuple[str, str]:
    try:
        results = folder.results() or {}
        status, why = str(results.get("status", "")), str(results.get("why", ""))
        if status in {"done", "diverged"}:
            return status, why
        if folder.held():
            return "running", ""
    except UserError as error:
        return "damaged", str(error)
    return (status, why) if status == "failed" else ("stopped" if folder.exists() else "waiting", "")


def _names(recipes: list[Document]) -> list[str]:
    """A label for each run: its family, and what it asks its objective for; none where its recipe is lost."""
    known = [recipe for recipe in recipes if recipe]
    labels = iter(zip(families(known, [1] * len(known)), settings(known), strict=True))
    return [" ".join(part for part in next(labels) if part) if recipe else "" for recipe in recipes]

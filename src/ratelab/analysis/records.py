"""Runs as read back from a store: their recipe, results and labels of status. Nothing here changes a store."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ratelab.core.errors import UserError
from ratelab.core.estimate import Estimate
from ratelab.store import RunFolder, Store

DENSITIES = {"negative log-density", "distortion (density)"}  # what the estimates of a density are of
Estimates = Mapping[str, Estimate | list[Estimate]]


@dataclass(frozen=True)
class Record:
    """One run of a store. ``estimates`` are of the test split, ``validation`` of the validation split."""

    folder: RunFolder
    recipe: Mapping[str, Any]
    status: str = "running"
    why: str = ""
    estimates: Estimates = field(default_factory=dict)
    validation: Estimates = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def run(self) -> str:
        """The run's id."""
        return self.folder.id

    @property
    def density(self) -> bool:
        """The decoder gives densities of real values; else probabilities of discrete ones (or it says nothing)."""
        found = (self.estimates.get(name) for name in ("distortion", "neg_elbo"))
        return any(e.of in DENSITIES for e in found if isinstance(e, Estimate))

    @property
    def layers(self) -> int:
        """The number of latent layers with a rate of their own (1 where the total does not split)."""
        rates = self.estimates.get("rates")
        return len(rates) if isinstance(rates, list) and rates else 1


def read_records(path: Path | str) -> list[Record]:
    """All runs of a store, in the order of their ids; raises :class:`UserError` when there is no store or no run.

    A run with a damaged file has the status ``damaged`` and the reason; its recipe is empty where nothing tells it.
    """
    store = Store(path)
    records = [_whole_or_damaged(folder) for folder in store.runs()]
    if not records:
        raise UserError(f"the store {store.path} holds no run; train something first, e.g. 'ratelab demo'")
    return records


def read_record(folder: RunFolder) -> Record:
    """The run in one folder; a run without results is still running (or was killed).

    Raises :class:`UserError` where a file of it is damaged or was written by a newer RateLab.
    """
    results = folder.results() or {}
    return Record(
        folder=folder,
        recipe=folder.recipe(),
        status=str(results.get("status", "running")),
        why=str(results.get("why", "")),
        estimates=_estimates(results.get("estimates", {})),
        validation=_estimates(results.get("validation", {})),
        results=results,
        provenance=folder.provenance(),
    )


def _whole_or_damaged(folder: RunFolder) -> Record:
    """One damaged run must not hide the others."""
    try:
        return read_record(folder)
    except UserError as error:
        return Record(folder=folder, recipe=_recipe_still_known(folder), status="damaged", why=str(error))


def _recipe_still_known(folder: RunFolder) -> Mapping[str, Any]:
    with suppress(UserError):
        return folder.recipe()
    with suppress(UserError):
        return dict((folder.results() or {}).get("recipe", {}))
    return {}


def _estimates(raw: Mapping[str, Any]) -> Estimates:
    return {
        name: [Estimate.from_json(r) for r in value] if isinstance(value, list) else Estimate.from_json(value)
        for name, value in raw.items()
    }

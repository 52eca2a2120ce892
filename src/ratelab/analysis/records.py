"""Runs as read back from a store: their recipe, results and labels of status. Nothing here changes a store."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ratelab.core.at import SIGN, Condition, betas_of, condition, slug, suffix
from ratelab.core.errors import UserError
from ratelab.core.estimate import Estimate
from ratelab.store import RunFolder, Store

DENSITIES = {"negative log-density", "distortion (density)"}  # what the estimates of a density are of
Estimates = Mapping[str, Estimate | list[Estimate]]


@dataclass(frozen=True)
class Record:
    """One run of a store, or what one is at a ``condition``. ``estimates`` are of the test split, ``validation`` of the
    validation split."""

    folder: RunFolder
    recipe: Mapping[str, Any]
    status: str = "stopped"
    why: str = ""
    estimates: Estimates = field(default_factory=dict)
    validation: Estimates = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    condition: Condition | None = None

    @property
    def run(self) -> str:
        """The run's id, with its condition where it has one: ``3f2a...@beta=0.5``."""
        return self.folder.id + suffix(self.condition)

    @property
    def per_example(self) -> dict[str, NDArray[np.generic]]:
        """The arrays of the test split, by name."""
        end = suffix(self.condition)
        arrays = self.folder.per_example().items()
        return {
            name.removesuffix(end): array for name, array in arrays if name.endswith(end) and SIGN not in name.removesuffix(end)
        }

    @property
    def pictures(self) -> dict[str, Path]:
        """The pictures' files, by name."""
        end = slug(self.condition)
        paths = self.folder.pictures().items()
        return {
            name.removesuffix(end): path for name, path in paths if name.endswith(end) and "-at-" not in name.removesuffix(end)
        }

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
    return [each for record in records for each in at_conditions(record)]


def at_conditions(record: Record) -> list[Record]:
    """A run as it is at each of its points; the run itself where it has none."""
    points = record.results.get("points", ())
    return [_at(record, point) for point in points] or [record]


def _at(record: Record, point: Mapping[str, Any]) -> Record:
    estimates, validation = (_estimates(point[split]) for split in ("estimates", "validation"))
    return replace(record, estimates=estimates, validation=validation, condition=point["condition"])


def record_at(record: Record, betas: tuple[float, ...] | None) -> Record:
    """What a run is at ``betas``; :class:`UserError` where it was not measured there."""
    if betas is None:
        return record
    found = next((each for each in at_conditions(record) if each.condition and betas_of(each.condition) == betas), None)
    if found is None:
        name = record.run + suffix(condition(betas))
        raise UserError(f"run {record.run} was not measured at that beta; 'ratelab evaluate {name}' does so where it can")
    return found


def read_record(folder: RunFolder) -> Record:
    """The run in one folder; one without results is ``running`` while a live process makes it, else ``stopped``.

    Raises :class:`UserError` where a file of it is damaged or was written by a newer RateLab.
    """
    results = folder.results() or {}
    return Record(
        folder=folder,
        recipe=folder.recipe(),
        status=str(results.get("status") or ("running" if folder.held() else "stopped")),
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

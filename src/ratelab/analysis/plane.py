"""Everything the rate-distortion plane of one data set shows, computed once for the command line and the page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ratelab.analysis import geometry
from ratelab.analysis.choice import Task, tasks
from ratelab.analysis.family import node
from ratelab.analysis.gap import Gap, gap_json, gaps
from ratelab.analysis.landscape import Landscape, landscapes
from ratelab.analysis.phase import Behaviour, Region, behaviour, region
from ratelab.analysis.point import Point, points
from ratelab.analysis.records import read_records
from ratelab.analysis.tasks import best
from ratelab.core.errors import UserError

LINE = (0.01, 2.0)  # a measured point lies on a line within this many nats or standard errors, whichever is wider


@dataclass(frozen=True)
class Plane:
    """The runs of a store on one data set, all with probabilities or all with densities.

    ``shown`` are on the plane, ``apart`` are listed with the reason why not.
    """

    data: str
    points: tuple[Point, ...]

    @cached_property
    def shown(self) -> list[Point]:
        """Finished runs with a finite rate and distortion whose sum bounds the entropy of the data."""
        return [p for p in self.points if not p.apart]

    @cached_property
    def trainings(self) -> list[Point]:
        """The runs shown, each once: of the points of one model the first."""
        return list({p.record.folder.id: p for p in reversed(self.shown)}.values())[::-1]

    @cached_property
    def apart(self) -> list[Point]:
        """Runs that have no place on the plane; never drawn, always listed."""
        return [p for p in self.points if p.apart]

    @cached_property
    def entropy(self) -> str:
        """What every D + R bounds from above."""
        return "differential entropy" if any(p.density for p in self.shown) else "entropy"

    @cached_property
    def families(self) -> list[str]:
        """Family labels of the runs shown, sorted, so that a run more or less does not shuffle colours."""
        return sorted({p.family for p in self.shown})

    @cached_property
    def ordered(self) -> list[Point]:
        """All runs as a table lists them: family by family with rising rate, then those that are not on the plane."""
        return [*sorted(self.shown, key=lambda p: (p.family, p.xy)), *sorted(self.apart, key=lambda p: (p.family, p.setting))]

    @cached_property
    def frontier(self) -> list[Point]:
        """The achieved frontier (non-dominated runs) by rising rate."""
        return [self.shown[i] for i in geometry.frontier([p.xy for p in self.shown])]

    @cached_property
    def hull(self) -> list[Point]:
        """The vertices of the lower-left convex hull by rising rate."""
        return [self.shown[i] for i in geometry.hull([p.xy for p in self.shown])]

    @cached_property
    def h_hat(self) -> Point | None:
        """The run with the smallest achieved D + R: the tightest upper bound on the entropy of the data."""
        return min(self.shown, key=lambda p: sum(p.xy), default=None)

    def region(self, point: Point) -> Region | None:
        """Where a run stands in the phase diagram, H-hat standing in for the entropy; ``None`` for a run apart."""
        if point.apart or self.h_hat is None:
            return None
        nats, errors = LINE
        error = [e.stderr if math.isfinite(e.stderr) else 0.0 for e in (point.rate, point.distortion, point.neg_elbo)]
        widths = (max(nats, errors * error[0]), max(nats, errors * error[1]), max(nats, errors * error[2]))
        return region(*point.xy, sum(self.h_hat.xy), tolerance=widths, discrete=not point.density)

    def behaviour(self, point: Point) -> Behaviour | None:
        """What a run does with its latent, by its rate; ``None`` for a run apart and for data other than MNIST."""
        return None if point.apart else behaviour(point.rate.value, str(node(point.record.recipe["data"])["name"]))

    @cached_property
    def tasks(self) -> list[Task]:
        """Every score that runs on the plane were measured with, beyond rate and distortion."""
        return tasks(self.shown)

    @cached_property
    def gaps(self) -> list[Gap]:
        """What one model for the whole curve loses to separately trained ones, beta by beta."""
        return gaps(self.shown)

    @cached_property
    def landscapes(self) -> list[Landscape]:
        """The grids of two-layer models among the runs on the plane."""
        return landscapes(self.shown)

    @cached_property
    def best(self) -> dict[str, Point | None]:
        """The best model per task, chosen on the validation split."""
        return best(self.shown)


def planes(store: Path | str) -> list[Plane]:
    """One plane per data set and kind of likelihood; a damaged run of unknown data is listed beside each.

    Raises :class:`UserError` when no run has finished.
    """
    found = points(read_records(store))
    if not any(p.record.status == "done" for p in found):
        counts = ", ".join(f"{n} {s}" for s, n in _tally([p.record.status for p in found]).items())
        damage = next((p.record.why for p in found if p.record.status == "damaged"), "")
        running = any(p.record.status == "running" for p in found)
        wait = f"they are being made: 'ratelab sweep --status --store {store}' says how far they are"
        todo = damage or (wait if running else "start the same command again to finish them")
        raise UserError(f"the store {store} holds no finished run ({counts}); {todo}")
    lost = [p for p in found if not p.data]
    return [Plane(data, (*(p for p in found if p.data == data), *lost)) for data in _data_sets(found)]


def plane(store: Path | str, data: str | None = None) -> Plane:
    """The plane called ``data``, which is needed only when the store holds several: data sets, or probabilities and densities."""
    found = {p.data: p for p in planes(store)}
    if data is None and len(found) > 1:
        raise UserError(
            f"the store {store} holds several data sets or kinds of likelihood ({'; '.join(found)}), which share no plane: choose one"
        )
    if data is not None and data not in found:
        raise UserError(f"the store {store} holds no run on '{data}'; it holds: {'; '.join(found)}")
    return found[data] if data is not None else next(iter(found.values()))


def frontier_document(store: Path | str, data: str | None = None, per_task: bool = False) -> dict[str, Any]:
    """The JSON document of ``ratelab frontier --json`` (schema 1); ``per_task`` adds an object of that name.

    ``runs`` holds the results of every finished run as in its ``results.json``, with its ``family``, its ``region`` of the
    phase diagram and its ``behaviour`` (null for runs apart, and where the data has no such categories); ``h_hat`` is an
    estimate with the run that achieved it; ``apart`` lists the runs that are not on the plane, with the reason. A run whose model
    was conditioned on beta has these under each of its ``points``, named ``run`` as in ``frontier`` and ``hull``: ``ID@beta=0.5``.
    ``gaps``: what such points lose in D + beta R to separately trained runs, in nats.
    """
    chosen = plane(store, data)
    smallest = chosen.h_hat
    return {
        "schema": 1,
        "store": str(store),
        "data": chosen.data,
        "runs": _runs(chosen),
        "frontier": [p.run for p in chosen.frontier],
        "hull": [p.run for p in chosen.hull],
        "h_hat": None if smallest is None else {**_sum(smallest, chosen.entropy), "run": smallest.run},
        "best": {task: None if p is None else p.run for task, p in chosen.best.items()},
        "apart": [{"run": p.run, "why": p.apart} for p in chosen.apart],
        **({"per_task": {task.name: task.document() for task in chosen.tasks}} if per_task else {}),
        "gaps": [gap_json(gap) for gap in chosen.gaps],
    }


def _runs(chosen: Plane) -> list[dict[str, Any]]:
    """Each run once, with its place, or with the places of its points."""
    found: dict[str, dict[str, Any]] = {}
    for point in chosen.points:
        results, run = point.record.results, point.record.folder.id
        if point.conditioned:
            whole = found.setdefault(run, {**results, "family": point.family, "points": []})
            own = next(p for p in results["points"] if p["condition"] == point.record.condition)
            whole["points"].append({**own, "run": point.run, **_place(chosen, point)})
        elif results:
            found[run] = {**results, **_place(chosen, point)}
    return list(found.values())


def _place(chosen: Plane, point: Point) -> dict[str, Any]:
    where, does = chosen.region(point), chosen.behaviour(point)
    return {"family": point.family, "region": where and where.value, "behaviour": does and does.value}


def _sum(point: Point, entropy: str) -> dict[str, Any]:
    return {**point.neg_elbo.to_json(), "value": sum(point.xy), "bound": "upper", "of": f"{entropy} of the data"}


def _data_sets(found: Sequence[Point]) -> list[str]:
    return list(dict.fromkeys(p.data for p in found if p.data))


def _tally(words: Sequence[str]) -> dict[str, int]:
    return {word: words.count(word) for word in sorted(set(words))}

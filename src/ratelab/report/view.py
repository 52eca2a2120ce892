"""What the page's template is given: plain text and numbers, computed here so that the template only lays them out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ratelab.analysis.helped import helped, judges
from ratelab.analysis.landscape import Landscape
from ratelab.analysis.plane import Plane
from ratelab.analysis.point import Point
from ratelab.analysis.tasks import RULES
from ratelab.core.estimate import Estimate
from ratelab.report.curves_figure import drawn
from ratelab.report.look import Mark, marks
from ratelab.report.numbers import BOUNDS, number, shown, unit
from ratelab.report.plane_figure import hat_line, staircase

TITLES = {"reconstruct": "To reconstruct", "represent": "To represent", "generate": "To generate"}
_OF_ONE_RUN = ("schema", "run", "hash")
Row = tuple[str, str, str, str, str, int]


@dataclass(frozen=True)
class Card:
    """The best model for one task."""

    title: str
    rule: str
    point: Point | None


def cards(plane: Plane) -> list[Card]:
    """The best model per task, in the order of the rules."""
    return [Card(TITLES[task], RULES[task], point) for task, point in plane.best.items()]


def name(point: Point) -> str:
    """Family and setting in one line; an objective that is called like its own option is named once."""
    family = point.family.split(", ")
    if point.setting.split(" ")[0] == family[-1]:
        family.pop()
    return ", ".join([*family, point.setting] if point.setting else family)


def standing(plane: Plane, point: Point) -> str:
    """Where a run stands: frontier, hull, the best sum; or that it has no place."""
    if point.apart:
        return "not on the plane" if point.record.status == "done" else point.record.status
    places = {"frontier": point in plane.frontier, "hull": point in plane.hull, "Ĥ": point is plane.h_hat}
    return ", ".join(word for word, holds in places.items() if holds)


def region(plane: Plane, point: Point) -> str:
    """The region of the phase diagram and the behaviour category where the data has them; a dash for a run apart."""
    return ", ".join(place.value for place in (plane.region(point), plane.behaviour(point)) if place) or "–"


def rows(point: Point) -> list[Row]:
    """All estimates of a run on the test split: name, value ± stderr, unit, bound, what it is of, n."""
    return [row for key, value in point.record.estimates.items() for row in _rows(key, value, point.record.layers)]


def real_bits(point: Point) -> str:
    """What the run's test examples took when they were compressed, beside what D + R of the same ones says; else nothing.

    A point of one model for many beta has none of its own: the model is compressed with as its results are.
    """
    bits = point.record.results.get("bits")
    if bits is None or point.conditioned:
        return ""
    real, nominal = bits["bits_per_example"], bits["nominal_bits_per_example"]
    told = f"Real bits: {real:.1f} an example, over {bits['n']} test examples compressed losslessly"
    if nominal:
        told += f"; nominal (D + R of the same examples): {nominal:.1f}, {100 * (real / nominal - 1):+.1f} %".replace("-", "−")
    return f"{told}. The first example borrows {bits['first_example_overhead_bits']} bits more, once."


def helped_by(point: Point) -> list[str]:
    """Which runs helped to measure this one, a line for each."""
    return helped(point.record.results, point.record.condition)


def judged_by(land: Landscape) -> str:
    """Which classifiers judged the runs of a grid, and how accurate they are; empty where none did."""
    return judges((point.record for point in land.points), [task.name for task in land.tasks])


def _rows(key: str, value: Estimate | list[Estimate], layers: int) -> list[Row]:
    """A list has an entry for each layer, top layer first, or else for each of what its ``of`` says."""
    if isinstance(value, list):
        ends = [f"layer {len(value) - i}" if len(value) == layers else f"{i + 1} of {len(value)}" for i in range(len(value))]
        return [_row(f"{key}, {end}", e) for end, e in zip(ends, value, strict=True)]
    return [_row(key, value)]


def _row(key: str, e: Estimate) -> Row:
    title = "D + R (negative ELBO)" if key == "neg_elbo" else key.replace("_", " ")
    return title, shown(e), unit(e.unit), BOUNDS[e.bound], e.of, e.n


def of_many(plane: Plane) -> str:
    """What a caption adds where the training curves of some runs are left out."""
    count = len(drawn(plane))
    return "" if count == len(plane.trainings) else f", of {count} runs spread evenly over the rates of each family"


def total(point: Point) -> str:
    """D + R with its standard error, as text."""
    value = point.rate.value + point.distortion.value
    return number(value, point.neg_elbo.stderr)


def plot(plane: Plane) -> dict[str, Any]:
    """What the interactive plane draws: points by family, and three lines as (rate, distortion) corners."""
    looks = marks(plane.families)
    smallest = plane.h_hat
    hat = sum(smallest.xy) if smallest else 0.0
    right = 1.06 * max([p.rate.value for p in plane.shown], default=1.0)
    top = max([p.distortion.value for p in plane.shown], default=1.0) + right
    return {
        "data": plane.data,
        "families": [_family(plane, family, looks[family]) for family in plane.families],
        "frontier": staircase([p.xy for p in plane.frontier], right, top) if plane.frontier else [],
        "hull": [p.xy for p in plane.hull],
        "hat": hat_line(hat, right) if smallest else [],
        "hatLabel": f"D + R = Ĥ = {hat:.4g} nats",
    }


def _family(plane: Plane, family: str, mark: Mark) -> dict[str, Any]:
    members = [p for p in plane.shown if p.family == family]
    return {
        "name": family,
        "colour": mark.colour,
        "symbol": f"{mark.symbol}-open" if members and members[0].conditioned else mark.symbol,
        "runs": [p.run for p in members],
        "settings": [p.setting for p in members],
        "rate": [_column(p.rate) for p in members],
        "distortion": [_column(p.distortion) for p in members],
        "total": [{"value": sum(p.xy), "error": _finite(p.neg_elbo.stderr), "text": total(p)} for p in members],
    }


def _column(e: Estimate) -> dict[str, Any]:
    return {"value": e.value, "error": _finite(e.stderr), "text": number(e.value, e.stderr)}


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def provenance(points: Sequence[Point]) -> list[tuple[str, str]]:
    """What the runs' provenance says: one line per entry, with the spread of its values where the runs differ."""
    found: dict[str, list[Any]] = {}
    for point in points:
        for key, value in _leaves(point.record.provenance).items():
            if value not in found.setdefault(key, []):
                found[key].append(value)
    return [(key, _spread(values)) for key, values in found.items() if key not in _OF_ONE_RUN]


def _spread(values: Sequence[Any]) -> str:
    if len(values) == 1:
        return str(values[0])
    ordered = sorted(values, key=lambda v: (isinstance(v, str), v if isinstance(v, (int, float)) else str(v)))
    if len(values) <= 4 and all(isinstance(v, str) for v in values):
        return "; ".join(ordered)
    return f"{len(values)} values, from {ordered[0]} to {ordered[-1]}"


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested entries by a readable title; numbers stay numbers, what is not known is left out."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        title = f"{prefix}{key}".replace("_", " ")
        if isinstance(value, Mapping):
            flat |= _leaves(value, f"{title}: ")
        elif value is not None:
            number_like = isinstance(value, (int, float)) and not isinstance(value, bool)
            flat[title] = value if number_like else ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return flat

"""Which model for which task: every measured score against the total rate (Xiao and Bamler 2023, section 5.3).

For a given total rate the models to choose from are the vertices of the upper convex hull of (total rate, score); which layer the
rate is spent on is what tells them apart. Choices look at the validation split, as everywhere; what is reported is the test split.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ratelab.analysis.family import node
from ratelab.analysis.geometry import XY, best_for_rate
from ratelab.analysis.point import Point
from ratelab.analysis.records import Estimates
from ratelab.core.estimate import Estimate

HIGHER = (
    "psnr", "label_information", "joint_label_information", "neighbour_information", "accuracy_", "inception_score", "diversity",
    "sharpness", "reconstruction_accuracy",
)  # fmt: skip
LOWER = ("fid", "reconstruction_entropy")
LIMITS = ("accuracy_limit",)  # what could be, not what is
Role = str
"""``"VAE"`` where every layer's beta is 1, ``"beta-VAE"`` where all are equal, else empty."""


@dataclass(frozen=True)
class Task:
    """One score and what it makes of the runs that have it.

    ``values``: run -> its estimate on the test split. ``best``: the best run; ``optimal``: the best runs for a given total rate, by
    rising rate; both chosen on the validation split. ``missing``: runs on the plane without this score.
    """

    name: str
    higher: bool
    values: Mapping[str, Estimate]
    best: Point
    optimal: tuple[Point, ...]
    missing: tuple[Point, ...]

    def document(self) -> dict[str, Any]:
        """As in ``ratelab frontier --per-task --json``."""
        return {
            "better": "higher" if self.higher else "lower",
            "best": {"run": self.best.run, **self.values[self.best.run].to_json()},
            "hull": [{"run": p.run, "rate": p.rate.value, **self.values[p.run].to_json()} for p in self.optimal],
            "missing": [p.run for p in self.missing],
        }


def tasks(points: Sequence[Point]) -> list[Task]:
    """One task for every score that any of these runs was measured with on both splits, in the order they are met."""
    scores = {p.run: scored(p.record.estimates) for p in points}
    chosen_by = {p.run: scored(p.record.validation) for p in points}
    names = dict.fromkeys(name for found in scores.values() for name in found)
    made = (_task(name, points, scores, chosen_by) for name in names)
    return [task for task in made if task is not None]


def _task(
    name: str,
    points: Sequence[Point],
    scores: Mapping[str, Mapping[str, Estimate]],
    chosen_by: Mapping[str, Mapping[str, Estimate]],
) -> Task | None:
    able = [p for p in points if name in scores[p.run] and name in chosen_by[p.run] and p.validation_xy is not None]
    if not able:
        return None
    higher = not name.startswith(LOWER)
    seen: list[XY] = [((p.validation_xy or p.xy)[0], chosen_by[p.run][name].value) for p in able]
    sign = 1.0 if higher else -1.0
    return Task(
        name,
        higher,
        {p.run: scores[p.run][name] for p in able},
        max(zip(able, seen, strict=True), key=lambda pair: (sign * pair[1][1], -pair[1][0]))[0],
        tuple(able[i] for i in best_for_rate(seen, higher)),
        tuple(p for p in points if p not in able),
    )


def scored(estimates: Estimates) -> dict[str, Estimate]:
    """The scores among the estimates of a run that have a finite value; one with a value per layer is a score for each layer."""
    found: dict[str, Estimate] = {}
    for name, value in estimates.items():
        if name in LIMITS or not name.startswith((*HIGHER, *LOWER)):
            continue
        rows = value if isinstance(value, list) else [value]
        for i, estimate in enumerate(rows):
            if math.isfinite(estimate.value):
                found[f"{name}, layer {len(rows) - i}" if isinstance(value, list) else name] = estimate
    return found


def prices(point: Point) -> tuple[float, ...] | None:
    """The beta of every layer, top first, where the objective has such; a single number counts for all layers.

    None where it has none, or one for each of several bins.
    """
    given = node(point.record.recipe.get("objective", {})).get("beta")
    layers = max(len(point.rates), 1)
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        return (float(given),) * layers
    if isinstance(given, (list, tuple)) and len(given) == layers:
        return tuple(map(float, given))
    return None


def role(point: Point) -> Role:
    """Which baseline of the grid a run is, if any."""
    betas = prices(point)
    if betas is None or len(set(betas)) > 1:
        return ""
    return "VAE" if betas[0] == 1 else "beta-VAE"

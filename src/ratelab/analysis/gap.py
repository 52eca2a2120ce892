"""What one model for the whole curve costs: D + beta R at its points against separately trained models (Bae et al. 2023, section 5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ratelab.analysis.family import node
from ratelab.analysis.paired import Difference, difference
from ratelab.analysis.point import Point
from ratelab.core.estimate import number_to_json
from ratelab.core.units import NAT

WIDTHS = ("hidden", "joint", "width", "features", "channels")


@dataclass(frozen=True)
class Gap:
    """``point``: one model at ``beta``; ``rival``: the separate model that has the lowest D + beta R on the plane among those trained at
    that beta, of the same networks where there is one, else of networks that differ in the widths of their layers alone (one model for
    all beta may need wider ones; ``alike`` tells). ``found``: point minus rival, over the same test examples, in nats."""

    point: Point
    rival: Point
    beta: float
    found: Difference

    @property
    def alike(self) -> bool:
        """The rival has the same networks, not only the same but for their widths."""
        return networks(self.point) == networks(self.rival)

    @property
    def value(self) -> float:
        """D + beta R of the conditioned model."""
        return self.of(self.point)

    @property
    def separate(self) -> float:
        """D + beta R of the separate model."""
        return self.of(self.rival)

    def of(self, point: Point) -> float:
        """D + beta R, in nats."""
        return point.distortion.value + self.beta * point.rate.value


def gaps(shown: Sequence[Point]) -> list[Gap]:
    """One for each point of a conditioned model that has a rival, by rising beta; layers' betas must be the same."""
    separate: dict[tuple[str, float], list[Point]] = {}
    for point in shown:
        if not point.conditioned and point.beta is not None and node(point.record.recipe["objective"])["name"] == "beta":
            for key in (networks(point), but_for_widths(point)):
                separate.setdefault((key, point.beta), []).append(point)
    found = []
    for point in (p for p in shown if p.conditioned and p.beta is not None):
        beta = float(point.beta or 0.0)
        rivals = separate.get((networks(point), beta)) or separate.get((but_for_widths(point), beta), [])
        if rivals:
            rival = min(rivals, key=lambda p: p.distortion.value + beta * p.rate.value)
            found.append(Gap(point, rival, beta, _difference(point, rival, beta)))
    return sorted(found, key=lambda gap: (gap.point.record.folder.id, gap.beta))


def networks(point: Point) -> str:
    """What a conditioned model and a separate one share: everything of the recipe's model but the conditioning."""
    model = node(point.record.recipe["model"])
    return repr(sorted((key, value) for key, value in model.items() if key != "conditioning"))


def but_for_widths(point: Point) -> str:
    """The networks of :func:`networks`, whatever the widths of their layers."""
    model = node(point.record.recipe["model"])
    return repr(sorted((key, _without_widths(value)) for key, value in model.items() if key != "conditioning"))


def _without_widths(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_widths(entry) for key, entry in value.items() if key not in WIDTHS}
    return [_without_widths(entry) for entry in value] if isinstance(value, list) else value


def _difference(point: Point, rival: Point, beta: float) -> Difference:
    of = f"D + {beta:g} R"
    a, b = (_sums(p, beta) for p in (point, rival))
    return difference(a - b, of)


def _sums(point: Point, beta: float) -> np.ndarray:
    arrays = point.record.per_example
    return arrays["distortion"].astype(np.float64) + beta * arrays["rate"].astype(np.float64)


def gap_json(gap: Gap) -> dict[str, Any]:
    """``{"run", "separate", "same_networks", "beta", "mean", "stderr", "n", "unit"}``: the gap of a point, in nats."""
    numbers = {"mean": number_to_json(gap.found.mean), "stderr": number_to_json(gap.found.stderr), "n": gap.found.n}
    pair = {"run": gap.point.run, "separate": gap.rival.run, "same_networks": gap.alike}
    return {**pair, "beta": gap.beta, **numbers, "unit": NAT}

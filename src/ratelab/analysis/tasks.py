"""Which of my models should I use? The best model per task, by rate and distortion alone.

Models are chosen on the validation split and reported on the test split, so that the winner's test numbers are not
flattered by the choice. Runs without validation numbers cannot be chosen.
"""

from collections.abc import Sequence

from ratelab.analysis.geometry import hull, sag
from ratelab.analysis.point import Point

RULES = {
    "reconstruct": "the lowest distortion D on the validation split",
    "represent": "the knee of the validation hull: the vertex farthest below the straight line between the hull's two ends, "
    "where a nat of rate stops paying for itself compared with the whole hull; with no vertex between them, the lowest D + R "
    "of the models that have a rate",
    "generate": "the lowest D + R on the validation split: the tightest bound on the data's negative log-likelihood",
}


def best(points: Sequence[Point]) -> dict[str, Point | None]:
    """The best model for each task of :data:`RULES`; ``None`` where no run was measured on the validation split."""
    measured = [(p, xy) for p in points if (xy := p.validation_xy) is not None]
    if not measured:
        return dict.fromkeys(RULES)
    return {
        "reconstruct": min(measured, key=lambda m: (m[1][1], m[1][0]))[0],
        "represent": _knee(measured) or _tightest([m for m in measured if m[1][0] > 0]),
        "generate": _tightest(measured),
    }


def _tightest(measured: Sequence[tuple[Point, tuple[float, float]]]) -> Point | None:
    """The least D + R."""
    return min(measured, key=lambda m: sum(m[1]))[0] if measured else None


def _knee(measured: Sequence[tuple[Point, tuple[float, float]]]) -> Point | None:
    """The hull vertex farthest below the chord of the hull; ``None`` when the hull has no vertex between its ends."""
    vertices = hull([xy for _, xy in measured])
    if len(vertices) < 3:
        return None
    depths = sag([measured[i][1] for i in vertices])
    return measured[vertices[depths.index(max(depths))]][0]

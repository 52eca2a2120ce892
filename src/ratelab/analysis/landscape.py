"""A grid of two-layer models as a landscape: one cell for each pair of prices, and which cells are empty (Xiao and Bamler 2023, Fig. 1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ratelab.analysis.choice import Task, prices, tasks
from ratelab.analysis.geometry import best_for_rate
from ratelab.analysis.point import Point

Cell = tuple[float, float]
"""beta of the top layer, beta of the lower one."""
DISTORTION = "distortion"
FEWEST = 3  # runs with a score that make a picture of it


@dataclass(frozen=True)
class Landscape:
    """The runs of one family with a price of their own for each of two layers, on the grid that their prices span.

    ``upper`` and ``lower``: the prices of the two layers, rising. Of several runs in one cell (other seeds) the first one counts.
    """

    family: str
    upper: tuple[float, ...]
    lower: tuple[float, ...]
    cells: dict[Cell, Point]

    @property
    def points(self) -> list[Point]:
        """The runs of the grid, in the order in which the store lists them."""
        return list(self.cells.values())

    @cached_property
    def tasks(self) -> list[Task]:
        """Every score that runs of this grid were measured with; best runs and hulls are of the grid alone."""
        return tasks(self.points)

    @property
    def missing(self) -> list[Cell]:
        """The cells of the grid without a run on the plane."""
        return [(a, b) for a in self.upper for b in self.lower if (a, b) not in self.cells]


def landscapes(points: Sequence[Point]) -> list[Landscape]:
    """A landscape for each family with at least two prices for either of its two layers, not always the same for both."""
    found = []
    for family in dict.fromkeys(p.family for p in points):
        cells: dict[Cell, Point] = {}
        for point in points:
            betas = prices(point)
            if point.family == family and len(point.rates) == 2 and betas is not None and len(betas) == 2:
                cells.setdefault((betas[0], betas[1]), point)
        upper, lower = (tuple(sorted({cell[axis] for cell in cells})) for axis in (0, 1))
        if len(upper) > 1 and len(lower) > 1 and any(a != b for a, b in cells):
            found.append(Landscape(family, upper, lower, cells))
    return found


def score(point: Point, task: Task | None) -> float | None:
    """A run's score on the test split, or its distortion where no task is given; None where it was not measured."""
    if task is None:
        return point.distortion.value
    return task.values[point.run].value if point.run in task.values else None


def measured(land: Landscape, task: Task | None) -> list[Point]:
    """The runs of a grid that have a score."""
    return [p for p in land.points if score(p, task) is not None]


def optimal(land: Landscape, task: Task | None) -> list[Point]:
    """The best runs of a grid for a given total rate, by rising rate, by the very numbers that a figure shows: those of the test split."""
    points = measured(land, task)
    if not points:
        return []
    heights = [(p.rate.value, score(p, task) or 0.0) for p in points]
    return [points[i] for i in best_for_rate(heights, task is not None and task.higher)]

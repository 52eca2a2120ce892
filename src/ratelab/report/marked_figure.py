"""Samples above, reconstructions below, of a few marked models of each grid (Xiao and Bamler 2023, Fig. 4): the pictures of their runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread

from ratelab.analysis.choice import prices
from ratelab.analysis.point import Point
from ratelab.report.look import INK, new_figure, style
from ratelab.report.numbers import number
from ratelab.report.pictures import caption

ROWS = ("samples", "reconstructions")
WIDTH = 4.2  # inches of a picture


def marked_figure(blocks: Mapping[str, Mapping[str, Point]]) -> Figure:
    """One block of two rows for each grid (by title), one column for each marked model (by what it is best at)."""
    columns = max(len(marked) for marked in blocks.values())
    tall = max(sum(map(_aspect, marked.values())) / len(marked) for marked in blocks.values())
    with style():
        figure = new_figure(WIDTH * columns, (WIDTH * tall + 1.0) * len(blocks))
        parts = figure.subfigures(len(blocks), 1, squeeze=False)[:, 0]
        for part, (title, marked) in zip(parts, blocks.items(), strict=True):
            part.suptitle(title)
            grid: Any = part.subplots(len(ROWS), columns, squeeze=False)
            for column, (name, point) in enumerate(marked.items()):
                for row, kind in enumerate(ROWS):
                    _picture(grid[row][column], point, kind)
                grid[0][column].set_title(f"{name}\n{setting(point)}")
            for axes in grid.flat:
                axes.set_xticks([])
                axes.set_yticks([])
                axes.spines[:].set_visible(False)
            for row, kind in enumerate(ROWS):
                grid[row][0].set_ylabel(caption(kind))
    return figure


def setting(point: Point) -> str:
    """The prices and the rates of a run of two layers, in one line."""
    betas = ", ".join(f"{b:.3g}" for b in prices(point) or ())
    return f"β₂, β₁ = {betas}; R₂, R₁ = {', '.join(number(r.value) for r in point.rates)} nats"


def missing_pictures(points: Sequence[Point]) -> list[str]:
    """The runs that lack a picture."""
    return [p.run for p in points if not set(ROWS) <= set(p.record.pictures)]


def _picture(axes: Axes, point: Point, kind: str) -> None:
    axes.imshow(imread(point.record.pictures[kind]), interpolation="nearest", cmap="gray")
    axes.spines[:].set_color(INK)


def _aspect(point: Point) -> float:
    """Height over width of a run's pictures, one above the other."""
    shapes = [imread(point.record.pictures[kind]).shape for kind in ROWS]
    return sum(float(height) / float(width) for height, width, *_ in shapes)

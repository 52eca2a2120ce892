"""One score over a grid of two-layer models: as a surface over the rates of the layers, over their plane, over the prices, and against
the total rate with its hull (Xiao and Bamler 2023, Fig. 1, 3, 5, 6 and 7).

Circles: black for the VAE (all prices 1), vermilion for beta-VAEs (equal prices), purple for the best models for a given total rate.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ratelab.analysis.choice import Task, role
from ratelab.analysis.geometry import best_for_rate
from ratelab.analysis.landscape import DISTORTION, Landscape, score
from ratelab.analysis.plane import Plane
from ratelab.analysis.point import Point
from ratelab.report.look import GREY, INK, LIGHT, new_figure, style
from ratelab.report.numbers import unit

COLOURS = "cividis"
RINGS = {"VAE": INK, "beta-VAE": "#D55E00", "best for its rate": "#AA3377"}
UPPER, LOWER, TOTAL = "rate of the top layer R₂ (nats)", "rate of the lower layer R₁ (nats)", "total rate R (nats)"
_DIAGONALS = 6


def landscape_figure(land: Landscape, task: Task | None) -> Figure | None:
    """Four panels of one ``task`` (None: the distortion) over one landscape; None where fewer than three of its runs have the score.

    Cells without a run, or without the score, are left white and counted in the title of their panel.
    """
    points = [p for p in land.cells.values() if score(p, task) is not None]
    if len(points) < 3:
        return None
    values = np.array([score(p, task) for p in points], dtype=float)
    name = label(task, points[0])
    higher = task is not None and task.higher
    chosen = [points[i] for i in best_for_rate([(p.rate.value, float(v)) for p, v in zip(points, values, strict=True)], higher)]
    rings = {p.run: kind for p in points if (kind := role(p))}
    norm = Normalize(float(values.min()), float(values.max()) if np.ptp(values) else float(values.min()) + 1.0)
    with style():
        figure = new_figure(8.4, 7.4)
        _surface(figure.add_subplot(2, 2, 1, projection="3d"), land, task, norm, name)
        mapped = _rates(figure.add_subplot(2, 2, 2), points, values, chosen, rings, norm)
        _prices(figure.add_subplot(2, 2, 3), land, task, chosen, norm)
        _hull(figure.add_subplot(2, 2, 4), points, values, chosen, rings, name)
        figure.colorbar(mapped, ax=figure.axes[1], label=name)
        marks = [
            figure.axes[1].scatter([], [], s=60, facecolors="none", edgecolors=c, linewidths=1.6, label=k)
            for k, c in RINGS.items()
        ]
        figure.legend(handles=marks, loc="outside lower center", ncols=3)
        figure.suptitle(land.family)
    return figure


def landscape_figures(plane: Plane) -> dict[str, Figure]:
    """A figure for every landscape of a plane and every score that its runs have, the distortion first; by name."""
    named = {
        f"landscape-{position + 1}-{slug(DISTORTION if task is None else task.name)}": landscape_figure(land, task)
        for position, land in enumerate(plane.landscapes)
        for task in (None, *plane.tasks)
    }
    return {name: figure for name, figure in named.items() if figure is not None}


def slug(name: str) -> str:
    """A score's name as part of a file's.

    >>> slug("accuracy_knn, layer 2")
    'accuracy-knn-layer-2'
    """
    return "-".join("".join(letter if letter.isalnum() else " " for letter in name).split())


def caption(name: str) -> str:
    """What stands below a figure of :func:`landscape_figures`.

    >>> caption("landscape-1-psnr")
    'psnr over the rates and the prices of two layers'
    """
    return f"{name.split('-', 2)[2].replace('-', ' ')} over the rates and the prices of two layers"


def label(task: Task | None, point: Point) -> str:
    """A score's name and unit, as on an axis."""
    if task is None:
        return "distortion D (nats)"
    measured = unit(task.values[point.run].unit)
    return task.name.replace("_", " ") + (f" ({measured})" if measured else "")


def _matrix(land: Landscape, what: Any) -> NDArray[np.float64]:
    """(lower prices falling, upper prices rising), NaN in cells that are empty."""
    rows = [[what(land.cells[a, b]) if (a, b) in land.cells else None for a in land.upper] for b in reversed(land.lower)]
    return np.array([[np.nan if v is None else v for v in row] for row in rows], dtype=float)


def _surface(axes: Any, land: Landscape, task: Task | None, norm: Normalize, name: str) -> None:
    """The score over the two rates; the sheet is torn where a cell is empty."""
    x, y, z = (_matrix(land, w) for w in (lambda p: p.rates[0].value, lambda p: p.rates[1].value, lambda p: score(p, task)))
    axes.plot_surface(x, y, z, cmap=COLOURS, norm=norm, edgecolor=INK, linewidth=0.3, alpha=0.9, rstride=1, cstride=1)
    axes.set_xlabel("R₂ (nats)")
    axes.set_ylabel("R₁ (nats)")
    axes.set_zlabel(name)
    axes.locator_params(nbins=4)
    axes.view_init(elev=24, azim=-58)
    axes.set_box_aspect(None, zoom=0.82)


def _rates(
    axes: Axes,
    points: Sequence[Point],
    values: NDArray[np.float64],
    chosen: Sequence[Point],
    rings: dict[str, str],
    norm: Normalize,
) -> Any:
    """The plane of the two rates, with lines of constant total rate."""
    x, y = ([p.rates[i].value for p in points] for i in (0, 1))
    right, top = 1.08 * max(*x, 1e-3), 1.08 * max(*y, 1e-3)
    for total in np.linspace(0, right + top, _DIAGONALS + 2)[1:-1]:
        axes.plot([0, total], [total, 0], color=LIGHT, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
        at = min(total, right)
        axes.annotate(f"R = {total:.3g}", (at, total - at), color=GREY, fontsize=6.5, ha="right", va="bottom", clip_on=True)
    mapped = axes.scatter(x, y, c=values, cmap=COLOURS, norm=norm, s=34, zorder=3)
    for point in points:
        _ring(axes, point, (point.rates[0].value, point.rates[1].value), rings, chosen)
    axes.set_xlim(-0.03 * right, right)
    axes.set_ylim(-0.03 * top, top)
    axes.set_xlabel(UPPER)
    axes.set_ylabel(LOWER)
    axes.set_title("dashed: constant total rate")
    return mapped


def _prices(axes: Axes, land: Landscape, task: Task | None, chosen: Sequence[Point], norm: Normalize) -> None:
    """The landscape over the prices: beta_1 falls downwards, beta_2 rises to the right."""
    matrix = _matrix(land, lambda p: score(p, task))
    axes.imshow(matrix, cmap=COLOURS, norm=norm, aspect="auto")
    for (upper, lower), point in land.cells.items():
        if score(point, task) is not None:
            at = (land.upper.index(upper), len(land.lower) - 1 - land.lower.index(lower))
            _ring(axes, point, at, {point.run: role(point)}, chosen)
    axes.set_xticks(range(len(land.upper)), [f"{b:.3g}" for b in land.upper], rotation=45)
    axes.set_yticks(range(len(land.lower)), [f"{b:.3g}" for b in reversed(land.lower)])
    axes.set_xlabel("price of the top layer β₂")
    axes.set_ylabel("price of the lower layer β₁")
    holes = int(np.isnan(matrix).sum())
    axes.set_title(f"{holes} of {matrix.size} cells empty" if holes else "every cell measured")


def _hull(
    axes: Axes, points: Sequence[Point], values: NDArray[np.float64], chosen: Sequence[Point], rings: dict[str, str], name: str
) -> None:
    """The score against the total rate, and the models to choose from for a given one."""
    axes.scatter([p.rate.value for p in points], values, s=16, color=GREY, zorder=2)
    heights = {p.run: float(v) for p, v in zip(points, values, strict=True)}
    axes.plot(
        [p.rate.value for p in chosen],
        [heights[p.run] for p in chosen],
        color=RINGS["best for its rate"],
        linewidth=1.4,
        zorder=1,
    )
    for point in points:
        _ring(axes, point, (point.rate.value, heights[point.run]), rings, chosen)
    axes.set_xlabel(TOTAL)
    axes.set_ylabel(name)
    axes.set_title("best for a given total rate")


def _ring(axes: Axes, point: Point, at: tuple[float, float], rings: dict[str, str], chosen: Sequence[Point]) -> None:
    """Circles around a run, one for each thing that it is."""
    kinds = [kind for kind in (rings.get(point.run), "best for its rate" if point in chosen else "") if kind]
    for size, kind in zip((60, 130), kinds, strict=False):
        axes.scatter(*at, s=size, facecolors="none", edgecolors=RINGS[kind], linewidths=1.5, zorder=4)

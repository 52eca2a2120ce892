"""One score over a grid of two-layer models, panel by panel: surface, plane of the rates, plane of the prices, hull (Xiao and Bamler 2023).

Circles: black for the VAE (all prices 1), vermilion for beta-VAEs (equal prices), purple for the best models for a given total rate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import FigureBase
from numpy.typing import NDArray

from ratelab.analysis.choice import Task, role
from ratelab.analysis.landscape import FEWEST, Landscape, measured, optimal, score
from ratelab.analysis.point import Point
from ratelab.report.look import GREY, INK, LIGHT
from ratelab.report.numbers import unit

COLOURS = "cividis"
HULL = "best for its rate"
RINGS = {"VAE": INK, "beta-VAE": "#D55E00", HULL: "#AA3377"}
UPPER, LOWER, TOTAL = "rate of the top layer R₂ (nats)", "rate of the lower layer R₁ (nats)", "total rate R (nats)"
_PAPER: dict[str, Any] = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"}
_TITLES = {
    "psnr": "PSNR",
    "label_information": "I_q(y; z₂)",
    "inception_score": "Inception score",
    "accuracy_logistic": "accuracy, logistic",
    "accuracy_linear_svm": "accuracy, linear SVM",
    "accuracy_rbf_svm": "accuracy, RBF SVM",
    "accuracy_knn": "accuracy, kNN",
    "fid": "FID",
}
CONSTANT = 0.05  # how far a scale goes to both sides of values that are all the same, as a share of them
_DIAGONALS = 6


@dataclass(frozen=True)
class Scored:
    """The runs of a landscape that have one score (``task``; None: the distortion), their values, and which of them stand out."""

    land: Landscape
    task: Task | None
    points: tuple[Point, ...]
    values: NDArray[np.float64]
    optimal: tuple[Point, ...]

    @classmethod
    def of(cls, land: Landscape, task: Task | None) -> "Scored | None":
        """None where fewer than three runs have the score."""
        points = measured(land, task)
        if len(points) < FEWEST:
            return None
        values = np.array([score(p, task) for p in points], dtype=float)
        return cls(land, task, tuple(points), values, tuple(optimal(land, task)))

    @property
    def name(self) -> str:
        """The score and its unit, as on an axis."""
        return label(self.task, self.points[0])

    @property
    def norm(self) -> Normalize:
        """From values to places on the colour map; equal values lie in its middle."""
        low, high = float(self.values.min()), float(self.values.max())
        about = 0.0 if high > low else CONSTANT * (abs(low) or 1.0)
        return Normalize(low - about, high + about)


def label(task: Task | None, point: Point) -> str:
    """A score's name and unit, as on an axis."""
    if task is None:
        return "distortion D (nats)"
    measured_in = unit(task.values[point.run].unit)
    return title(task.name) + ("" if measured_in == unit("1") else f" ({measured_in})")


def title(name: str) -> str:
    """A score's name as a figure shows it.

    >>> title("accuracy_knn, layer 2"), title("psnr"), title("reconstruction_entropy")
    ('accuracy, kNN on z₂', 'PSNR', 'reconstruction entropy')
    """
    name, _, layer = name.partition(", layer ")
    where = f" on z{'₀₁₂₃₄₅₆₇₈₉'[int(layer)]}" if layer.isdigit() and int(layer) < 10 else f", layer {layer}" if layer else ""
    return _TITLES.get(name, name.replace("_", " ")) + where


def matrix(land: Landscape, what: Callable[[Point], Any]) -> NDArray[np.float64]:
    """(lower prices falling, upper prices rising), NaN in cells that are empty."""
    rows = [[what(land.cells[a, b]) if (a, b) in land.cells else None for a in land.upper] for b in reversed(land.lower)]
    return np.array([[np.nan if v is None else v for v in row] for row in rows], dtype=float)


def surface(axes: Any, scored: Scored, colours: NDArray[np.float64] | None = None) -> None:
    """The score over the two rates, torn where a cell is empty; faces coloured by the score, or by ``colours`` (rows, columns, 3)."""
    land, task = scored.land, scored.task
    x, y, z = (matrix(land, w) for w in (lambda p: p.rates[0].value, lambda p: p.rates[1].value, lambda p: score(p, task)))
    look: dict[str, Any] = (
        {"cmap": COLOURS, "norm": scored.norm} if colours is None else {"facecolors": colours, "shade": False}
    )
    axes.plot_surface(x, y, z, edgecolor=INK, linewidth=0.3, alpha=0.9, rstride=1, cstride=1, **look)
    axes.set_xlabel("R₂ (nats)")
    axes.set_ylabel("R₁ (nats)")
    axes.set_zlabel(scored.name)
    axes.locator_params(nbins=4)
    axes.view_init(elev=24, azim=-58)
    axes.set_box_aspect(None, zoom=0.82)


def rates_plane(axes: Axes, scored: Scored, colours: NDArray[np.float64] | None = None) -> Any:
    """The plane of the two rates with lines of constant total rate; marks coloured by the score, or by ``colours`` (points, 3)."""
    x, y = ([p.rates[i].value for p in scored.points] for i in (0, 1))
    right, top = 1.08 * max(*x, 1e-3), 1.08 * max(*y, 1e-3)
    taken = np.stack([np.divide(x, right), np.divide(y, top)], -1)
    for total in np.linspace(0, right + top, _DIAGONALS + 2)[1:-1]:
        axes.plot([0, total], [total, 0], color=LIGHT, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
        place = _freest(_along(total, right, top), taken)
        taken = np.vstack([taken, place])
        at = (float(place[0]) * right, float(place[1]) * top)
        axes.annotate(f"R = {total:.3g}", at, color=GREY, fontsize=6.5, ha="center", va="center", bbox=_PAPER)
    look: dict[str, Any] = (
        {"c": scored.values, "cmap": COLOURS, "norm": scored.norm} if colours is None else {"c": colours, "edgecolors": GREY}
    )
    mapped = axes.scatter(x, y, s=34, zorder=3, linewidths=0.4, **look)
    for point in scored.points:
        ring(axes, point, (point.rates[0].value, point.rates[1].value), scored)
    axes.set_xlim(-0.03 * right, right)
    axes.set_ylim(-0.03 * top, top)
    axes.set_xlabel(UPPER)
    axes.set_ylabel(LOWER)
    return mapped


def _along(total: float, right: float, top: float) -> NDArray[np.float64]:
    """(n, 2) places on the line x + y = total within the frame, as shares of its width and height, a little off its edges."""
    x = np.linspace(max(0.0, total - top), min(total, right), 41)
    places = np.stack([x / right, (total - x) / top], -1)
    inside = ((places > 0.08) & (places < 0.95)).all(-1)
    return places[inside] if inside.any() else places


def _freest(places: NDArray[np.float64], taken: NDArray[np.float64]) -> NDArray[np.float64]:
    """The one of ``places`` that is farthest from its nearest neighbour in ``taken``; a label is wider than high."""
    apart = (places[:, None] - taken) / (2.0, 1.0)
    return np.asarray(places[np.linalg.norm(apart, axis=-1).min(1).argmax()])


def prices_plane(axes: Axes, scored: Scored) -> Any:
    """The landscape over the prices: beta_1 falls downwards, beta_2 rises to the right."""
    land = scored.land
    found = matrix(land, lambda p: score(p, scored.task))
    mapped = axes.imshow(found, cmap=COLOURS, norm=scored.norm, aspect="auto")
    for point in scored.points:
        ring(axes, point, cell_of(land, point), scored)
    price_axes(axes, land)
    holes = int(np.isnan(found).sum())
    axes.set_title(f"{holes} of {found.size} cells empty" if holes else "every cell measured")
    return mapped


def price_axes(axes: Axes, land: Landscape) -> None:
    """Ticks and labels of a picture with one pixel for each pair of prices."""
    every = -(-max(len(land.upper), len(land.lower)) // 8)
    columns, rows = range(0, len(land.upper), every), range(0, len(land.lower), every)
    axes.set_xticks(columns, [f"{land.upper[i]:.3g}" for i in columns], rotation=45)
    axes.set_yticks([len(land.lower) - 1 - i for i in rows], [f"{land.lower[i]:.3g}" for i in rows])
    axes.set_xlabel("price of the top layer β₂")
    axes.set_ylabel("price of the lower layer β₁")


def cell_of(land: Landscape, point: Point) -> tuple[int, int]:
    """Column and row of a run in a picture of the prices."""
    upper, lower = next(cell for cell, p in land.cells.items() if p is point)
    return land.upper.index(upper), len(land.lower) - 1 - land.lower.index(lower)


def hull(axes: Axes, scored: Scored) -> None:
    """The score against the total rate, and the models to choose from for a given one."""
    heights = {p.run: float(v) for p, v in zip(scored.points, scored.values, strict=True)}
    axes.scatter([p.rate.value for p in scored.points], scored.values, s=16, color=GREY, zorder=2)
    best = scored.optimal
    axes.plot([p.rate.value for p in best], [heights[p.run] for p in best], color=RINGS[HULL], linewidth=1.4, zorder=1)
    for point in scored.points:
        ring(axes, point, (point.rate.value, heights[point.run]), scored)
    axes.set_xlabel(TOTAL)
    axes.set_ylabel(scored.name)
    axes.set_title("best for a given total rate")


def ring(axes: Axes, point: Point, at: tuple[float, float], scored: Scored) -> None:
    """Circles around a run, one for each thing that it is."""
    kinds = [kind for kind in (role(point), HULL if point in scored.optimal else "") if kind]
    for size, kind in zip((60, 130), kinds, strict=False):
        axes.scatter(*at, s=size, facecolors="none", edgecolors=RINGS[kind], linewidths=1.5, zorder=4)


def rings_legend(figure: FigureBase, axes: Axes) -> None:
    """What the circles mean, below the panels."""
    marks = [axes.scatter([], [], s=60, facecolors="none", edgecolors=c, linewidths=1.6, label=k) for k, c in RINGS.items()]
    figure.legend(handles=marks, loc="outside lower center", ncols=len(marks))

"""Figures of Xiao and Bamler 2023 from grids of two-layer models, each grid a block of its own: Fig. 1, 3, 5, 6 and 7."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from ratelab.analysis.choice import Task
from ratelab.analysis.helped import JUDGED, judges
from ratelab.analysis.landscape import Landscape
from ratelab.core.estimate import Estimate
from ratelab.exact.accuracy import highest_accuracy, labels_behind
from ratelab.report import panels
from ratelab.report.look import GREY, INK, new_figure, style
from ratelab.report.panels import Scored
from ratelab.report.price_colours import colour_grid, colour_map, colours_of

Block = tuple[Landscape, Sequence[Task]]
"""A grid and the scores to draw of it."""
ACCURACIES = ("accuracy_logistic", "accuracy_linear_svm", "accuracy_rbf_svm", "accuracy_knn")
SHADES = "viridis"
_BEST: dict[str, Any] = {"marker": "*", "s": 46, "color": "white", "edgecolors": INK, "linewidths": 0.7, "zorder": 5}


def overview_figure(blocks: Sequence[Block]) -> Figure:
    """Fig. 1: the first score as a surface, the colour of each pair of prices, where it lands in the rates, and a landscape of each
    score with a star, within its rings, at the run chosen for it on the validation split."""

    def draw(part: FigureBase, land: Landscape, scored: Sequence[Scored]) -> None:
        axes = part.add_subplot(2, 3, 1, projection="3d")
        panels.surface(axes, scored[0], colour_grid(land))
        axes.set_title(f"{scored[0].name} over the rates")
        colour_map(part.add_subplot(2, 3, 2), land)
        plane = part.add_subplot(2, 3, 3)
        panels.rates_plane(plane, scored[0], colours_of(land, list(scored[0].points)))
        plane.set_title("rates of the layers, by colour of their prices")
        for i, each in enumerate(scored):
            axes = part.add_subplot(2, 3, 4 + i)
            part.colorbar(panels.prices_plane(axes, each), ax=axes)
            assert each.task is not None
            axes.scatter(*panels.cell_of(land, each.task.best), **_BEST)
            axes.set_title(f"{each.name}; star: best on validation")

    return _stacked(blocks, 10.6, 6.6, draw)


def rates_figure(blocks: Sequence[Block]) -> Figure:
    """Fig. 3: a score over the rates of the layers as a surface, and flat with lines of constant total rate."""

    def draw(part: FigureBase, land: Landscape, scored: Sequence[Scored]) -> None:
        panels.surface(part.add_subplot(1, 2, 1, projection="3d"), scored[0])
        axes = part.add_subplot(1, 2, 2)
        part.colorbar(panels.rates_plane(axes, scored[0]), ax=axes, label=scored[0].name)
        axes.set_title("dashed: constant total rate")

    return _stacked(blocks, 8.4, 3.7, draw)


def hull_figure(blocks: Sequence[Block]) -> Figure:
    """Fig. 5: a score against the total rate, and its upper hull: the runs to choose from for a given total rate."""

    def draw(part: FigureBase, land: Landscape, scored: Sequence[Scored]) -> None:
        panels.hull(part.add_subplot(), scored[0])

    return _stacked(blocks, 5.6, 3.8, draw)


def generation_figure(blocks: Sequence[Block]) -> Figure:
    """Fig. 6: Inception score, diversity and sharpness over the rates of the layers."""
    return _stacked(blocks, 11.4, 3.7, _row_of_planes)


def labels_figure(blocks: Sequence[Block]) -> Figure:
    """Fig. 7: what the top layer says about the label and how well four classifiers read it, over the rates (above), and against
    the information with the limit f^-1 that it sets (below, dashed)."""

    def draw(part: FigureBase, land: Landscape, scored: Sequence[Scored]) -> None:
        above, below = part.subfigures(2, 1, squeeze=False)[:, 0]
        _row_of_planes(above, land, scored)
        information = {p.run: float(v) for p, v in zip(scored[0].points, scored[0].values, strict=True)}
        for i, each in enumerate(scored):
            axes = below.add_subplot(1, len(scored), 1 + i)
            mapped = _information(axes, each) if i == 0 else _limited(axes, each, information)
        below.colorbar(mapped, ax=below.axes, label=panels.LOWER.replace("rate of the lower layer ", ""))

    return _stacked(blocks, 17.0, 6.8, draw, rings=False)


def _information(axes: Axes, scored: Scored) -> Any:
    """I_q(y; z_2) against the rate of the top layer, which it cannot exceed."""
    rates = [p.rates[0].value for p in scored.points]
    top = 1.08 * float(scored.values.max())
    axes.plot([0, top], [0, top], color=INK, linestyle="--", linewidth=1.0, label="information = rate")
    mapped = axes.scatter(rates, scored.values, c=[p.rates[1].value for p in scored.points], cmap=SHADES, s=26, zorder=3)
    axes.set_ylim(0, top)
    axes.set_xlabel(panels.UPPER)
    axes.set_ylabel(scored.name)
    axes.legend(loc="lower right")
    return mapped


def _limited(axes: Axes, scored: Scored, information: dict[str, float]) -> Any:
    """An accuracy against the information, with the accuracy that the information of each run allows."""
    shown = [(p, v) for p, v in zip(scored.points, scored.values, strict=True) if p.run in information]
    found = [(information[p.run], p.record.estimates.get("accuracy_limit")) for p, _ in shown]
    limits = sorted((x, limit.value) for x, limit in found if isinstance(limit, Estimate))
    axes.plot(*_curve(limits), color=INK, linestyle="--", linewidth=1.0, label="f⁻¹(information)", gid="limit")
    x, colours = [information[p.run] for p, _ in shown], [p.rates[1].value for p, _ in shown]
    mapped = axes.scatter(x, [v for _, v in shown], c=colours, cmap=SHADES, s=26, zorder=3)
    axes.set_xlabel("I_q(y; z₂) (nats)")
    axes.set_ylabel(scored.name)
    axes.legend(loc="lower right")
    return mapped


def _curve(limits: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """f^-1 by its formula from the first of the ``limits`` (information, accuracy) to the last."""
    x = np.linspace(limits[0][0], limits[-1][0], 200).tolist()
    labels = labels_behind(limits)
    return (x, [highest_accuracy(each, *labels) for each in x]) if labels else ([a for a, _ in limits], [b for _, b in limits])


def _row_of_planes(part: FigureBase, land: Landscape, scored: Sequence[Scored]) -> None:
    for i, each in enumerate(scored):
        axes = part.add_subplot(1, len(scored), 1 + i)
        part.colorbar(panels.rates_plane(axes, each), ax=axes)
        axes.set_title(each.name)


def _stacked(
    blocks: Sequence[Block],
    width: float,
    height: float,
    draw: Callable[[FigureBase, Landscape, Sequence[Scored]], None],
    rings: bool = True,
) -> Figure:
    """One block below the other, each titled with its data set and family."""
    with style():
        figure = new_figure(width, height * len(blocks) + 0.3)
        parts = figure.subfigures(len(blocks), 1, squeeze=False)[:, 0]
        for part, (land, tasks) in zip(parts, blocks, strict=True):
            scored = [found for task in tasks if (found := Scored.of(land, task)) is not None]
            draw(part, land, scored)
            holes = len(land.missing)
            empty = f"; no run for {holes} of {len(land.upper) * len(land.lower)} pairs of prices" if holes else ""
            by = judges((point.record for point in land.points), [task.name for task in tasks])
            what = ", ".join(each.name for each in scored if each.task is not None and each.task.name in JUDGED)
            title = f"{land.points[0].data}: {land.family}{empty}" + (f"\n{what}: {by}" if by else "")
            part.suptitle(title, color=INK if not holes else GREY)
        if rings:
            panels.rings_legend(figure, figure.axes[-1])
    return figure

"""Training curves as small multiples: one row per family, one column per quantity, one line per run."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ratelab.analysis.plane import Plane
from ratelab.analysis.point import Point
from ratelab.core.estimate import number_from_json
from ratelab.report.look import LIGHT, new_figure, style

QUANTITIES = {"rate": "rate R (nats)", "distortion": "distortion D (nats)", "neg_elbo": "D + R (nats)"}
MOST = 200  # lines that can still be told apart
Curve = tuple[list[float], list[float]]


def curves_figure(plane: Plane) -> Figure | None:
    """Rate, distortion and D + R by epoch on the validation split (the training split where that is not in the log).

    Lines are coloured by the rate that the run ended at on the test split. ``None`` where no run has a log.
    """
    chosen = drawn(plane)
    logs = {p.run: p.record.folder.log() for p in chosen}
    families = [f for f in plane.families if any(logs[p.run] for p in chosen if p.family == f)]
    if not families:
        return None
    rates = [p.rate.value for p in plane.shown]
    colours = ScalarMappable(Normalize(min(rates), max(max(rates), min(rates) + 1e-6)), _readable())
    with style():
        figure = new_figure(7.6, 0.95 + 1.75 * len(families))
        grid = figure.subplots(len(families), len(QUANTITIES), squeeze=False, sharex=True)
        for row, family in zip(grid, families, strict=True):
            members = [p for p in chosen if p.family == family]
            for axes, quantity in zip(row, QUANTITIES, strict=True):
                _panel(axes, [(p, curve(logs[p.run], quantity)) for p in members], colours)
            row[0].set_title(family, loc="left", fontweight="bold")
        for axes, label in zip(grid[0], QUANTITIES.values(), strict=True):
            axes.annotate(label, (0.5, 1), (0, 20), "axes fraction", "offset points", ha="center", va="bottom", fontsize=9.5)
        for axes in grid[-1]:
            axes.set_xlabel("epoch")
        bar = figure.colorbar(colours, ax=grid, location="bottom", fraction=0.03, aspect=70, pad=0.02)
        bar.set_label("rate of the trained model on the test split (nats)")
        bar.outline.set_linewidth(0.5)
    return figure


def drawn(plane: Plane) -> list[Point]:
    """The trainings whose curves are drawn: all, or of more than :data:`MOST` so many, evenly by family and rate."""
    ordered = sorted(plane.trainings, key=lambda p: (p.family, p.rate.value))
    if len(ordered) <= MOST:
        return list(plane.trainings)
    return [ordered[i * len(ordered) // MOST] for i in range(MOST)]


def curve(log: Sequence[Mapping[str, Any]], quantity: str) -> Curve:
    """Epochs and values of one column; the sum of rate and distortion where D + R has no column of its own.

    Rows without a finite value are left out.
    """
    for split in ("validation", "train"):
        pairs = [(row["epoch"], _value(row, f"{split}/{quantity}", split)) for row in log if "epoch" in row]
        finite = [(float(epoch), value) for epoch, value in pairs if math.isfinite(value)]
        if finite:
            return [e for e, _ in finite], [v for _, v in finite]
    return [], []


def _value(row: Mapping[str, Any], column: str, split: str) -> float:
    if column not in row and column.endswith("/neg_elbo"):
        return _value(row, f"{split}/rate", split) + _value(row, f"{split}/distortion", split)
    return number_from_json(row.get(column))


def _panel(axes: Axes, curves: Sequence[tuple[Point, Curve]], colours: ScalarMappable) -> None:
    for point, (epochs, values) in curves:
        axes.plot(epochs, values, color=tuple(colours.to_rgba(np.array(point.rate.value))), linewidth=1.2)
    settled = [v for _, (_, values) in curves for v in (values[1:] or values)]
    if settled:
        low, high = min(settled), float(np.quantile(settled, 0.99))
        room = 0.06 * max(high - low, 1e-3)
        axes.set_ylim(low - room, high + room)
    axes.grid(color=LIGHT, linewidth=0.5)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))


def _readable() -> ListedColormap:
    """Cividis without its pale end, which is hard to see on white."""
    return ListedColormap(colormaps["cividis"](np.linspace(0.0, 0.86, 256)))

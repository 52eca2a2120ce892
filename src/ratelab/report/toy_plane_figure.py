"""Where toy models end on the rate-distortion plane, beside the exact curves (Alemi et al. 2018, section 4; Blahut 1972)."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ratelab.report.look import GREY, INK, LIGHT, marks, new_figure, style

Points = Sequence[Mapping[str, float]]


def toy_plane_figure(
    groups: Mapping[str, Points], curve: Mapping[str, NDArray[np.float64]], entropy: float, information: float
) -> Figure:
    """D against R, and D + R against R from close by, nats. ``groups``: title -> one record per seed with ``rate``, ``distortion``.

    ``information``: I(x; c), the rate of the hand-made optimum. ``curve``: ``rate`` and ``distortion`` of the best that the true
    decoder p(x|c) allows. The line D = H - R is what a free decoder allows: the exact rate-distortion function for D = -log d(x|z).
    """
    with style():
        figure = new_figure(8.4, 3.9)
        whole, close = figure.subplots(1, 2)
        _draw(whole, groups, curve, entropy, information, total=False)
        _draw(close, groups, curve, entropy, information, total=True)
        whole.set(xlim=(-0.05, 1.0), ylim=(entropy - 1.0, entropy + 0.4), ylabel="distortion D (nats)")
        close.set(xlim=(-0.05, 1.0), ylim=(entropy - 0.02, entropy + 0.14), ylabel="D + R (nats)")
        figure.legend(*whole.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _draw(
    axes: Axes,
    groups: Mapping[str, Points],
    curve: Mapping[str, NDArray[np.float64]],
    entropy: float,
    information: float,
    total: bool,
) -> None:
    ends = np.array([0.0, entropy])
    lift = 1.0 if total else 0.0
    axes.plot(ends, entropy - ends + lift * ends, color=INK, linewidth=1.2, label="free decoder: D = H − R")
    height = curve["distortion"] + lift * curve["rate"]
    axes.plot(curve["rate"], height, color=GREY, linewidth=1.6, linestyle=(0, (5, 2)), label="true decoder p(x|c), fixed")
    for (title, points), mark in zip(groups.items(), marks(list(groups)).values(), strict=True):
        x = [p["rate"] for p in points]
        y = [p["distortion"] + lift * p["rate"] for p in points]
        axes.plot(
            x, y, linestyle="none", marker=mark.marker, color=mark.colour, markersize=6, alpha=0.55, markeredgewidth=0, zorder=3,
            label=f"{title} ({len(points)})",
        )  # fmt: skip
    optimum_height = entropy - information + lift * information
    axes.plot(information, optimum_height, marker="*", color=INK, markersize=11, fillstyle="none", linestyle="none", zorder=4,
              label="hand-made optimum")  # fmt: skip
    axes.grid(color=LIGHT, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.set_xlabel("rate R (nats)")

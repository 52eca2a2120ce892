"""Bars of every estimate of KL(q(z) || m(z)) that runs hold (Rosca et al. 2018, Fig. 1, 4 and 21)."""

import math
from collections.abc import Sequence
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ratelab.analysis.divergence import ESTIMATES, Divergence
from ratelab.report.look import COLOURS, GREY, INK, LIGHT, new_figure, style

_LOOKS = dict(zip(ESTIMATES, ("white", GREY, *COLOURS), strict=True))
COLUMN = 1.9  # inches that a column of the legend takes
FAR = 15.0  # a bar so many times as high as the median one wants a logarithmic axis


def kl_bars_figure(found: Sequence[Divergence]) -> Figure:
    """One panel for each data set, one group of bars for each of its runs, each bar with its standard error, nats.

    The axis is logarithmic beyond 1 nat on both sides where some estimate is far from the rest, as ratios can be.
    """
    names = [name for name in ESTIMATES if any(name in each.estimates for each in found)]
    panels = {data: [each for each in found if each.data == data] for data in dict.fromkeys(each.data for each in found)}
    widths = [sum(len(each.estimates) for each in group) + len(group) for group in panels.values()]
    with style():
        figure = new_figure(min(max(1.5 + 0.36 * sum(widths), 4.6), 13.0), 3.7)
        axes = figure.subplots(1, len(panels), width_ratios=widths, squeeze=False)[0]
        for panel, (data, group) in zip(axes, panels.items(), strict=True):
            _panel(panel, group)
            panel.set_title(data, loc="left")
        axes[0].set_ylabel("KL(q(z) || m(z)) (nats)")
        keys = [
            Patch(facecolor=_LOOKS[name], edgecolor=INK, linewidth=0.7, label=ESTIMATES[name].replace("-", "–"))
            for name in names
        ]
        columns = 4 if figure.get_figwidth() > COLUMN * 4 else 2
        figure.legend(handles=keys, loc="outside lower center", ncols=min(len(keys), columns))
    return figure


def _panel(axes: Axes, group: Sequence[Divergence]) -> None:
    if _spread_out([estimate.value for each in group for estimate in each.estimates.values()]):
        axes.set_yscale("symlog", linthresh=1.0)
    left, middles = 0.0, []
    for each in group:
        for place, (name, estimate) in enumerate(each.estimates.items()):
            error = estimate.stderr if math.isfinite(estimate.stderr) else None
            axes.bar(
                left + place, estimate.value, 0.82, yerr=error, color=_LOOKS[name], edgecolor=INK, linewidth=0.7, capsize=2,
                error_kw={"elinewidth": 0.9, "ecolor": INK}, gid=f"{each.run} {name}",
            )  # fmt: skip
            high = estimate.value + (error or 0.0)
            axes.annotate(
                _short(estimate.value), (left + place, max(high, 0.0)), (0, 2), textcoords="offset points", ha="center",
                va="bottom", fontsize=6.5,
            )  # fmt: skip
        middles.append(left + (len(each.estimates) - 1) / 2)
        left += len(each.estimates) + 1
    axes.axhline(0.0, color=INK, linewidth=0.7)
    axes.set_xticks(middles, [fill(each.title, 24) for each in group])
    axes.tick_params(axis="x", length=0)
    axes.margins(y=0.1)
    axes.grid(axis="y", color=LIGHT, linewidth=0.5)
    axes.set_axisbelow(True)


def _spread_out(values: Sequence[float]) -> bool:
    return max(map(abs, values)) > FAR * max(float(np.median(np.abs(values))), 1.0)


def _short(value: float) -> str:
    size = abs(value)
    digits = 2 if size < 10 else 1 if size < 100 else 0
    return (f"{value:.3g}" if size >= 1e5 else f"{value:.{digits}f}").replace("-", "−")

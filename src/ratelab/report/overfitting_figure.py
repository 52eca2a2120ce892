"""Over-fitting by the U/S form (Alemi et al. 2018, App. C.1): S on the sample beside its target, and S itself, against N."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ratelab.report.look import GREY, INK, LIGHT, marks, new_figure, style

Points = Sequence[Mapping[str, float]]


def overfitting_figure(groups: Mapping[str, Points], entropy: float) -> Figure:
    """``groups``: title -> one record per run with ``examples``, ``s_sample``, ``s``, ``law_from_sample`` (nats).

    Left: KL(p^ || g) on the sample; the target H - log N and the law's own KL(p^ || p\\*). Right: KL(p\\* || g), what was to be small.
    """
    with style():
        figure = new_figure(8.4, 3.9)
        sample, held_out = figure.subplots(1, 2)
        every = [record for points in groups.values() for record in points]
        sizes = np.array(sorted({record["examples"] for record in every}))
        span = np.geomspace(sizes[0] / 1.3, sizes[-1] * 1.3, 200)
        sample.plot(span, entropy - np.log(span), color=INK, linewidth=1.2, linestyle=(0, (4, 3)), label="target H − log N")
        means = [np.mean([r["law_from_sample"] for r in every if r["examples"] == n]) for n in sizes]
        sample.plot(sizes, means, color=GREY, linewidth=1.6, label="the law itself, KL(p̂ || p*)")
        for i, ((title, points), mark) in enumerate(zip(groups.items(), marks(list(groups)).values(), strict=True)):
            x = [record["examples"] * (1 + 0.06 * i) for record in points]  # side by side where they would hide each other
            look = {"linestyle": "none", "marker": mark.marker, "color": mark.colour, "markersize": 5, "alpha": 0.7}
            sample.plot(x, [record["s_sample"] for record in points], label=title, **look)
            held_out.plot(x, [record["s"] for record in points], **look)
        _dress(sample, sizes, "S on the sample, KL(p̂ || g) (nats)")
        _dress(held_out, sizes, "S, KL(p* || g) (nats)")
        held_out.set_yscale("log")
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def _dress(axes: Axes, sizes: np.ndarray, label: str) -> None:
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{n:g}" for n in sizes])
    axes.minorticks_off()
    axes.set_xlabel("training points N")
    axes.set_ylabel(label)
    axes.grid(color=LIGHT, linewidth=0.5)

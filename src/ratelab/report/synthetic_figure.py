"""The density-ratio trick on two Gaussians, against the truth (in the manner of Rosca et al. 2018, Figs. 18-20, of fixed laws)."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from ratelab.report.look import COLOURS, INK, LIGHT, new_figure, style


def synthetic_figure(records: Sequence[Mapping[str, float]]) -> Figure:
    """``records``: one for each run with ``dimensions``, ``truth``, ``estimate``, ``dv`` (nats).

    Left: E_{P_2}[-logit] against KL(P_2 || P_1), both on logarithmic axes, with the line where they agree. Right: the share of the truth
    that the estimate and the lower bound of Donsker and Varadhan find, against n.
    """
    with style():
        figure = new_figure(8.4, 3.7)
        both, share = figure.subplots(1, 2)
        truths = [record["truth"] for record in records]
        span = [min(truths) / 2, max(truths) * 2]
        both.plot(span, span, color=INK, linewidth=1.0, linestyle=(0, (4, 3)), label="the truth")
        kinds = (("estimate", "density-ratio trick", "o", COLOURS[0]), ("dv", "Donsker-Varadhan bound", "s", COLOURS[1]))
        for name, label, marker, colour in kinds:
            look = {"linestyle": "none", "marker": marker, "color": colour, "markersize": 5.5, "alpha": 0.8}
            both.plot(truths, [record[name] for record in records], label=label, **look)
            share.plot([r["dimensions"] for r in records], [r[name] / r["truth"] for r in records], **look)
        for axes, x, y in ((both, "KL(P₂ || P₁) (nats)", "found (nats)"), (share, "dimensions n", "found / KL(P₂ || P₁)")):
            axes.set_xscale("log")
            axes.set_xlabel(x)
            axes.set_ylabel(y)
            axes.grid(color=LIGHT, linewidth=0.5)
        if min(min(record["estimate"], record["dv"]) for record in records) > 0:
            both.set_yscale("log")
        else:
            both.set_yscale("symlog", linthresh=0.1)
        share.axhline(1.0, color=INK, linewidth=1.0, linestyle=(0, (4, 3)))
        sizes = sorted({record["dimensions"] for record in records})
        share.set_xticks(sizes, [f"{n:g}" for n in sizes])
        share.minorticks_off()
        figure.legend(loc="outside lower center", ncols=3)
    return figure

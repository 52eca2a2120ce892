"""The phase diagram: what the rate-distortion plane looks like for models of unlimited capacity (Alemi et al. 2018, Fig. 1)."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ratelab.report.look import COLOURS, GREY, INK, LIGHT, new_figure, style


def phase_figure(entropy: float = 1.0, label: str = "H") -> Figure:
    """The feasible region of discrete data of this entropy (nats): D + R >= H with its limits, lines and moves.

    ``label``: what the ticks call the entropy.
    """
    h, end = entropy, 1.5 * entropy
    with style():
        figure = new_figure(5.6, 4.9)
        axes = figure.add_subplot()
        axes.fill([0, h, 0], [0, 0, h], color=LIGHT, linewidth=0)
        axes.plot([0, h], [h, 0], color=INK, linewidth=2.4, gid="diagonal", solid_capstyle="butt")
        axes.plot([0, 0], [h, end], color=COLOURS[1], linewidth=3.2, clip_on=False, gid="left", solid_capstyle="butt")
        axes.plot([h, end], [0, 0], color=COLOURS[0], linewidth=3.2, clip_on=False, gid="bottom", solid_capstyle="butt")
        axes.plot([0, h], [h, 0], "o", color=INK, markersize=7, clip_on=False, zorder=5)
        _words(axes, h)
        _moves(axes, h)
        axes.set(xlim=(0, end), ylim=(0, end), xlabel="rate R (nats)", ylabel="distortion D (nats)", aspect="equal")
        axes.set_xticks([0, h], ["0", label])
        axes.set_yticks([0, h], ["0", label])
    return figure


def _words(axes: Axes, h: float) -> None:
    axes.text(0.30 * h, 0.28 * h, "infeasible\nD + R < H", ha="center", va="center", color="#4d4d4d")
    axes.text(0.55 * h, 0.49 * h, "diagonal D = H − R\nboth bounds tight", ha="left", va="bottom", rotation=0)
    axes.text(0.05 * h, 1.03 * h, "autodecoding limit\nthe latent is ignored", ha="left", va="bottom")
    axes.text(1.0 * h, 0.06 * h, "autoencoding limit\na lossless code", ha="left", va="bottom")
    axes.text(0.05 * h, 1.42 * h, "left line: the decoder is too weak", ha="left", va="center", color=COLOURS[1])
    axes.text(1.48 * h, 0.30 * h, "bottom line:\nthe marginal\nis too weak", ha="right", va="bottom", color=COLOURS[0])


def _moves(axes: Axes, h: float) -> None:
    start = (0.86 * h, 0.86 * h)
    arrow = {"arrowstyle": "-|>", "color": GREY, "linewidth": 1.1, "shrinkA": 4, "shrinkB": 0}
    axes.plot(*start, "o", color=GREY, markersize=5)
    axes.annotate("", (1.16 * h, start[1]), start, arrowprops=arrow)
    axes.annotate("", (start[0], 1.16 * h), start, arrowprops=arrow)
    axes.text(1.18 * h, start[1], "a worse\nmarginal", va="center", ha="left", color="#5a5a5a")
    axes.text(start[0], 1.18 * h, "a worse decoder", va="bottom", ha="center", color="#5a5a5a")

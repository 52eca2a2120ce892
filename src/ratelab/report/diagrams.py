"""Diagrams of how densities are wired: two joints, an inverse autoregressive chain, orders of inference.

After Kingma and Welling 2019, Fig. 2.4, 3.1 and 4.1, and Xiao and Bamler 2023, Fig. 2.
"""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, FancyBboxPatch

from ratelab.report.look import COLOURS, INK, LIGHT, new_figure, style

INFER, GENERATE = COLOURS[0], COLOURS[1]


def joints_diagram() -> Figure:
    """From data to latents by the encoder, from latents to data by the decoder: the two joints that D + R - H compares (Fig. 2.4)."""
    with style():
        figure, axes = _canvas(6.2, 2.7, (0, 10), (0, 4.4))
        for x, title, outer, inner in (
            (1.9, "data x", "p*(x)", "p_d(x) = Σ_z m(z) d(x|z)"),
            (8.1, "latents z", "m(z)", "p_e(z) = Σ_x p*(x) e(z|x)"),
        ):
            axes.add_patch(Ellipse((x, 2.0), 3.3, 2.2, facecolor="white", edgecolor=INK, linewidth=1.0))
            axes.text(x, 3.45, title, ha="center", weight="bold")
            axes.text(x, 2.3, outer, ha="center", va="center")
            axes.text(x, 1.65, inner, ha="center", va="center", fontsize=8, color=GENERATE if x < 5 else INFER)
        _arrow(axes, (3.3, 2.65), (6.7, 2.65), INFER, 0.18)
        _arrow(axes, (6.7, 1.35), (3.3, 1.35), GENERATE, 0.18)
        axes.text(5, 3.35, "encoder e(z|x)\njoint p*(x) e(z|x)", ha="center", va="bottom", color=INFER, fontsize=8.5)
        axes.text(5, 0.72, "decoder d(x|z)\njoint m(z) d(x|z)", ha="center", va="top", color=GENERATE, fontsize=8.5)
        axes.text(5, 2.0, "D + R − H = KL of the two", ha="center", va="center", fontsize=8.5)
    return figure


def chain_diagram(steps: int = 2) -> Figure:
    """x gives the first draw and a context h; every step moves z by what it knows of the coordinates before (Fig. 3.1)."""
    with style():
        figure, axes = _canvas(2.6 + 2.1 * steps, 2.5, (0, 4.4 + 3.4 * steps), (-0.2, 4.2))
        _box(axes, 0.9, 1.2, "x")
        _box(axes, 2.9, 1.2, "encoder\nnetwork", width=1.5)
        _arrow(axes, (1.3, 1.2), (2.1, 1.2), INK)
        _circle(axes, 2.9, 3.3, "$z_0$")
        _arrow(axes, (2.9, 1.75), (2.9, 2.85), INK)
        axes.text(3.0, 2.3, r"$\mu_0, \sigma_0$", fontsize=8, ha="left")
        for step in range(1, steps + 1):
            x = 2.9 + 3.4 * step
            _box(axes, x - 1.7, 3.3, f"step {step}", width=1.3)
            _circle(axes, x, 3.3, f"$z_{{{step}}}$")
            _arrow(axes, (x - 3.4 + 0.45, 3.3), (x - 1.7 - 0.7, 3.3), INK)
            _arrow(axes, (x - 1.7 + 0.7, 3.3), (x - 0.45, 3.3), INK)
            _arrow(axes, (3.7, 1.2), (x - 1.7, 2.75), INFER, 0.0)
        axes.text(4.9, 0.72, "context h", color=INFER, fontsize=8.5)
        axes.text(4.9, 0.05, r"$\log e(z_T|x) = \log N(z_0) - \sum_t \sum_i \log \sigma_{t,i}$", fontsize=8.5)
    return figure


def orders_diagram(layers: int = 3) -> Figure:
    """Bottom-up inference draws z_1 first; top-down inference draws in the order of the model and shares its path (Fig. 4.1)."""
    with style():
        figure, axes = _canvas(6.6, 3.4, (-0.3, 13.2), (-0.5, layers + 1.0))
        for left, title in ((0.8, "bottom-up"), (7.6, "top-down")):
            axes.text(left + 1.6, layers + 0.72, title, ha="center", weight="bold")
            for column, kind in ((0.0, "inference"), (3.2, "model")):
                _stack(axes, left + column, layers, kind, title)
                axes.text(left + column, -0.45, kind, ha="center", fontsize=8, color=INFER if kind == "inference" else GENERATE)
    return figure


def _stack(axes: Axes, x: float, layers: int, kind: str, title: str) -> None:
    _circle(axes, x, 0.1, "$x$", LIGHT)
    for level in range(1, layers + 1):
        _circle(axes, x, 0.1 + level, f"$z_{level}$")
    for level in range(layers):
        low, high = (x, 0.1 + level + 0.27), (x, 0.1 + level + 1 - 0.27)
        if kind == "model" or (title == "top-down" and level):
            _arrow(axes, high, low, GENERATE if kind == "model" else INFER)
        elif title == "bottom-up":
            _arrow(axes, low, high, INFER)
    if kind == "inference" and title == "top-down":
        for level in range(1, layers + 1):
            _arrow(axes, (x - 0.3, 0.25), (x - 0.3, level + 0.1), INFER, 0.45)


def _canvas(width: float, height: float, xlim: tuple[float, float], ylim: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = new_figure(width, height)
    axes = figure.add_subplot()
    axes.set(xlim=xlim, ylim=ylim)
    axes.set_axis_off()
    return figure, axes


def _arrow(axes: Axes, start: Sequence[float], end: Sequence[float], colour: str, bend: float = 0.0) -> None:
    look = {
        "arrowstyle": "-|>",
        "color": colour,
        "linewidth": 1.2,
        "shrinkA": 1,
        "shrinkB": 1,
        "connectionstyle": f"arc3,rad={-bend}",
    }
    axes.annotate("", (end[0], end[1]), (start[0], start[1]), arrowprops=look)


def _box(axes: Axes, x: float, y: float, words: str, width: float = 0.8, height: float = 1.0) -> None:
    corner = (x - width / 2, y - height / 2)
    axes.add_patch(
        FancyBboxPatch(corner, width, height, boxstyle="round,pad=0.02,rounding_size=0.1", facecolor="white", edgecolor=INK)
    )
    axes.text(x, y, words, ha="center", va="center", fontsize=8.5)


def _circle(axes: Axes, x: float, y: float, words: str, colour: str = "white") -> None:
    axes.plot(x, y, "o", markersize=21, markerfacecolor=colour, markeredgecolor=INK, markeredgewidth=0.9)
    axes.text(x, y, words, ha="center", va="center", fontsize=9)


def hierarchies_diagram() -> Figure:
    """Two layers inferred bottom-up, by a Ladder VAE and by generalised top-down inference; the model at the right (X23, Fig. 2)."""
    with style():
        figure, axes = _canvas(8.6, 3.1, (-0.6, 17.4), (-1.15, 3.5))
        for left, title, law in (
            (0.4, "(a) bottom-up", "q(z₁|x) q(z₂|z₁)"),
            (5.0, "(b) Ladder VAE", "q(z₂|x) q(z₁|z₂, x)"),
            (10.3, "(c) generalised top-down", "q(z₂|x) q(z₁|z₂, x)"),
            (15.6, "model", "p(z₂) p(z₁|z₂) p(x|z₁)"),
        ):
            axes.text(left + 0.95 * (left == 5.0), 3.2, title, ha="center", weight="bold", fontsize=8.5)
            axes.text(left + 0.95 * (left == 5.0), -0.95, law, ha="center", fontsize=8)
        _two_layers(axes, 0.4, ((0, 1, 0.0), (1, 2, 0.0)), INFER)
        _two_layers(axes, 10.3, ((0, 1, 0.0), (0, 2, 0.55), (2, 1, 0.0)), INFER)
        _two_layers(axes, 15.6, ((2, 1, 0.0), (1, 0, 0.0)), GENERATE)
        _ladder(axes, 5.0)
    return figure


def _two_layers(axes: Axes, x: float, arrows: Sequence[tuple[int, int, float]], colour: str) -> None:
    """x, z_1 and z_2 above each other, with arrows (from, to, bend) between them."""
    for level, name in enumerate(("$x$", "$z_1$", "$z_2$")):
        _circle(axes, x, 0.1 + 1.2 * level, name, LIGHT if level == 0 else "white")
    for start, end, bend in arrows:
        side = -0.32 if bend else 0.0
        step = 0.0 if bend else 0.33 * (1 if end > start else -1)
        _arrow(axes, (x + side, 0.1 + 1.2 * start + step), (x + side, 0.1 + 1.2 * end - step), colour, bend)


def _ladder(axes: Axes, x: float) -> None:
    """Features d_1 and d_2 go up without noise; the draws come down and merge with what d_1 says and what the model expects of z_1."""
    right = x + 1.9
    _circle(axes, x, 0.1, "$x$", LIGHT)
    for level, name in ((1, "1"), (2, "2")):
        _box(axes, x, 0.1 + 1.2 * level, f"$d_{name}$", 0.75, 0.62)
        _circle(axes, right, 0.1 + 1.2 * level, f"$z_{name}$")
        _arrow(axes, (x, 0.1 + 1.2 * (level - 1) + 0.35), (x, 0.1 + 1.2 * level - 0.35), INFER)
        _arrow(axes, (x + 0.42, 0.1 + 1.2 * level), (right - 0.4, 0.1 + 1.2 * level), INFER)
    _arrow(axes, (right, 2.5 - 0.33), (right, 1.3 + 0.33), GENERATE)
    axes.text(right + 0.15, 1.9, "p(z₁|z₂)", fontsize=7, color=GENERATE, va="center")
    axes.text(right, 0.72, "precisions add", fontsize=7, color=INFER, ha="center")

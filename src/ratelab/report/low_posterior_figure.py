"""Low-posterior samples: pictures of them (Rosca et al. 2018, Fig. 2, 10, 11, 15) and what they are like (Fig. 3 and 12-14)."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ratelab.report.look import COLOURS, GREY, LIGHT, new_figure, style

Arrays = Mapping[str, NDArray[Any]]
GROUPS = {
    "uniform": "uniformly chosen data",
    "neighbours": "nearest neighbours in the data",
    "samples": "low-posterior samples",
}
_LOOKS = {"uniform": (GREY, "-"), "neighbours": (COLOURS[0], "-"), "samples": (COLOURS[1], (0, (4, 1.5)))}
_PARTS = (("z ~ m(z)", GREY, "o"), ("z ~ q(z)", COLOURS[0], "s"), ("low-posterior z", COLOURS[1], "^"))
COLUMNS, COLUMNS_OF_FEW, BINS = 8, 4, 24
PANEL, HEADING = 2.7, 0.3  # inches: how wide a grid is, and how high the words above it


def low_posterior_grids(found: Arrays, low: float = 0.0, high: float = 1.0) -> Figure:
    """Three grids: low-posterior samples, their nearest neighbours place by place, and usual samples; values ``low`` are black."""
    grids = {"samples": "low-posterior samples", "neighbours": "their nearest neighbours in the data", "usual": "usual samples"}
    with style():
        pictures = {name: tiled(np.clip((found[name] - low) / (high - low), 0.0, 1.0)) for name in grids}
        height, width = pictures["samples"].shape[:2]
        figure = new_figure(3 * PANEL + 0.3, PANEL * height / width + HEADING)
        for axes, (name, title) in zip(figure.subplots(1, 3), grids.items(), strict=True):
            axes.imshow(pictures[name], interpolation="nearest", cmap="gray", vmin=0, vmax=1)
            axes.set_title(title, loc="left")
            axes.set_axis_off()
    return figure


def tiled(images: NDArray[np.floating]) -> NDArray[np.floating]:
    """(n, C, H, W) in [0, 1] as one picture (H', W', 3), eight beside each other or more of very many, light grey between."""
    n, channels, height, width = images.shape
    columns = max(COLUMNS, math.ceil(math.sqrt(n))) if n > COLUMNS else min(n, COLUMNS_OF_FEW)
    rows = -(-n // columns)
    canvas = np.full((rows * (height + 2) - 2, columns * (width + 2) - 2, 3), 0.9)
    for i, image in enumerate(images):
        top, left = (i // columns) * (height + 2), (i % columns) * (width + 2)
        shown = image[:3] if channels >= 3 else np.repeat(image[:1], 3, 0)
        canvas[top : top + height, left : left + width] = shown.transpose(1, 2, 0)
    return canvas


def low_posterior_analysis(found: Arrays) -> Figure:
    """Histograms of ELBO, rate and pixels for the three groups, and a map of the codes by t-SNE."""
    with style():
        figure = new_figure(8.4, 6.2)
        (elbo, rate), (pixels, codes) = figure.subplots(2, 2)
        _histograms(elbo, {name: -found[f"{name}_neg_elbo"] for name in GROUPS}, "ELBO, −(D + R) (nats)")
        _histograms(rate, {name: found[f"{name}_rate"] for name in GROUPS}, "KL cost, KL(e(z|x) || m(z)) (nats)")
        for name, (colour, dash) in _LOOKS.items():
            filled = {"fill": True, "alpha": 0.35} if name == "uniform" else {"linestyle": dash, "linewidth": 1.3}
            pixels.stairs(found[f"{name}_pixels"], found["edges"], color=colour, **filled).set_gid(name)
        pixels.set(xlabel="pixel value", ylabel="share of pixels", yscale="log")
        pixels.grid(color=LIGHT, linewidth=0.5)
        _map(codes, found["map"], found["map_group"])
        figure.legend(*elbo.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _histograms(axes: Axes, values: Mapping[str, NDArray[Any]], label: str) -> None:
    pooled = np.concatenate(list(values.values()))
    edges = np.linspace(pooled.min(), max(pooled.max(), pooled.min() + 1e-6), BINS + 1)
    for name, each in values.items():
        colour, dash = _LOOKS[name]
        heights = np.histogram(each, edges, density=True)[0]
        filled = {"fill": True, "alpha": 0.35} if name == "uniform" else {"linestyle": dash, "linewidth": 1.4}
        axes.stairs(heights, edges, color=colour, label=f"{GROUPS[name]} ({len(each)})", **filled).set_gid(name)
        axes.axvline(float(each.mean()), color=colour, linestyle=dash, linewidth=0.9)
    axes.set(xlabel=label, ylabel="density (1 / nats)")


def _map(axes: Axes, places: NDArray[np.floating], group: NDArray[np.integer]) -> None:
    for i, (label, colour, marker) in enumerate(_PARTS):
        x, y = places[group == i].T
        size, depth = (14, 3) if i == 2 else (6, 2)
        axes.scatter(x, y, s=size, color=colour, marker=marker, linewidths=0, alpha=0.75, label=label, zorder=depth, gid=label)
    axes.set(xticks=[], yticks=[], xlabel="codes by t-SNE, no unit")
    axes.legend(loc="upper right", fontsize=7.5, handletextpad=0.1, frameon=True, framealpha=0.9, edgecolor=LIGHT)

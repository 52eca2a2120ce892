"""Posteriors of two latents as areas of the plane: the marginal, and what each model gives to each data point (K19, Fig. 3.2)."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from ratelab.report.look import COLOURS, GREY, new_figure, style

LEVELS = (0.08, 0.3, 0.6, 1.0)  # of a density's own maximum


def posterior_figure(marginal: NDArray[np.floating], posteriors: Mapping[str, NDArray[np.floating]], reach: float) -> Figure:
    """One panel for the marginal, one for each model.

    ``marginal``: (G, G) density on an even grid of [-reach, reach]^2, rows along z1; ``posteriors``: under each title (P, G, G), one
    density for each of P data points.
    """
    points = max(len(each) for each in posteriors.values())
    with style():
        figure = new_figure(2.4 * (1 + len(posteriors)), 3.3)
        panels = figure.subplots(1, 1 + len(posteriors), sharex=True, sharey=True)
        _area(panels[0], marginal, GREY, reach)
        panels[0].set_title("marginal m(z)")
        for axes, (title, densities) in zip(panels[1:], posteriors.items(), strict=True):
            for i, (density, colour) in enumerate(zip(densities, COLOURS, strict=False)):
                _area(axes, density, colour, reach, f"point {i + 1}")
            axes.set_title(title)
        for axes in panels:
            axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="$z_1$")
        panels[0].set_ylabel("$z_2$")
        keys = [Patch(color=COLOURS[i], label=f"e(z|x), point {i + 1}") for i in range(points)]
        figure.legend(handles=keys, loc="outside lower center", ncols=points)
    return figure


def _area(axes: Axes, density: NDArray[np.floating], colour: str, reach: float, name: str = "marginal") -> None:
    grid = np.linspace(-reach, reach, len(density))
    shades = LinearSegmentedColormap.from_list(colour, [(*_rgb(colour), 0.18), (*_rgb(colour), 0.85)])
    levels = [share * density.max() for share in LEVELS]
    axes.contourf(grid, grid, density.T, levels=levels, cmap=shades, antialiased=True)
    axes.contour(grid, grid, density.T, levels=levels[:1], colors=colour, linewidths=0.9).set_gid(name)


def _rgb(colour: str) -> tuple[float, float, float]:
    return tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))  # type: ignore[return-value]

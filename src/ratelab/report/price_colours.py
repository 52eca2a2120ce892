"""A colour for every pair of prices: hue from the direction of (log beta_2, log beta_1), saturation from its length (X23, Fig. 1)."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import hsv_to_rgb
from numpy.typing import NDArray

from ratelab.analysis.landscape import Cell, Landscape
from ratelab.analysis.point import Point
from ratelab.report.panels import cell_of, price_axes

_VALUE, _LEAST = 0.92, 0.08  # brightness of all colours; saturation next to white


def price_colours(cells: list[Cell]) -> NDArray[np.float64]:
    """(N, 3) colours in [0, 1] of pairs of prices; white-grey where both are 1, a full hue at the pair farthest from that.

    >>> price_colours([(1.0, 1.0), (10.0, 1.0)]).round(2).tolist()
    [[0.92, 0.92, 0.92], [0.92, 0.0, 0.0]]
    """
    x, y = np.log([[max(b, 1e-12) for b in cell] for cell in cells]).T
    far = np.hypot(x, y)
    hue = (np.arctan2(y, x) / (2 * np.pi)) % 1.0
    reach = far.max() if far.max() > 0 else 1.0
    saturation = np.where(far > 0, np.maximum(far / reach, _LEAST), 0.0)
    return np.asarray(hsv_to_rgb(np.stack([hue, saturation, np.full(len(cells), _VALUE)], -1)))


def colours_of(land: Landscape, points: list[Point]) -> NDArray[np.float64]:
    """(N, 3): the colours of runs of a landscape, as in :func:`colour_map`."""
    cells, colours = list(land.cells), price_colours(list(land.cells))
    place = {p.run: colours[cells.index(cell)] for cell, p in land.cells.items()}
    return np.array([place[p.run] for p in points])


def colour_grid(land: Landscape) -> NDArray[np.float64]:
    """(lower prices falling, upper prices rising, 3): the colours of all pairs of prices, NaN where there is no run."""
    picture = np.full((len(land.lower), len(land.upper), 3), np.nan)
    for point, colour in zip(land.points, colours_of(land, land.points), strict=True):
        column, row = cell_of(land, point)
        picture[row, column] = colour
    return picture


def colour_map(axes: Axes, land: Landscape) -> None:
    """The legend of these colours: the grid of prices, white where there is no run."""
    axes.imshow(np.nan_to_num(colour_grid(land), nan=1.0), aspect="auto")
    price_axes(axes, land)
    axes.set_title("colour of each pair of prices")

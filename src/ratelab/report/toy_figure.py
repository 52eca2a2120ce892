"""The toy model's laws and tables side by side (Alemi et al. 2018, Fig. 2): one column for each model, five rows.

Rows: laws of x (data, model, reconstruction); laws of the code (marginal, aggregated posterior, of each class); e(z|x); d(x|z); p(x'|x).
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from ratelab.report.look import COLOURS, GREY, INK, new_figure, style

Column = Mapping[str, NDArray[np.float64]]
CLASS_COLOURS = ("#7B3294", "#E6AB02")  # the paper's purple and yellow, dark enough on white
# name of the table -> (its label, the label of its columns, the label of its rows)
TABLES = {
    "e(z|x)": ("encoder e(z|x)", "code z", "state x"),
    "d(x|z)": ("decoder d(x|z)", "state x", "code z"),
    "p(x'|x)": ("reconstruction p(x'|x)", "state x'", "state x"),
}


def toy_figure(columns: Mapping[str, Column]) -> Figure:
    """Five rows for each column, by its title. A column's arrays: ``p*(x)``, ``g(x)``, ``d(x)`` (X,); ``m(z)``, ``e(z)``, ``e(z|0)``,
    ``e(z|1)`` (Z,); ``e(z|x)`` (X, Z), ``d(x|z)`` (Z, X), ``p(x'|x)`` (X, X)."""
    with style():
        figure = new_figure(2.9 * len(columns) + 0.7, 11.0)
        grid = figure.subplots(5, len(columns), squeeze=False)
        for axes, (title, column) in zip(grid.T, columns.items(), strict=True):
            _states(axes[0], column)
            _codes(axes[1], column)
            axes[0].set_title(title)
        for row, name in zip(grid[2:], TABLES, strict=True):
            _tables(figure, row, name, list(columns.values()))
        _same_height(list(grid[0]))
        for count in {len(column["m(z)"]) for column in columns.values()}:  # two codes hold more each than thirty do
            _same_height([axes for axes, column in zip(grid[1], columns.values(), strict=True) if len(column["m(z)"]) == count])
        grid[0][0].set_ylabel("probability of x")
        grid[1][0].set_ylabel("probability of z")
        handles = [handle for row in (grid[0], grid[1]) for handle in _legend(row[0])]
        figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


def _states(axes: Axes, column: Column) -> None:
    x = np.arange(len(column["p*(x)"]))
    axes.bar(x, column["p*(x)"], width=1.0, color="#d9d9d9", label="data p*(x)")
    axes.step(x, column["g(x)"], where="mid", color=COLOURS[0], linewidth=1.4, label="model g(x)")
    axes.step(
        x, column["d(x)"], where="mid", color=COLOURS[1], linewidth=1.2, linestyle=(0, (2, 1.5)), label="reconstruction d(x)"
    )
    axes.set_xlabel("state x")


def _codes(axes: Axes, column: Column) -> None:
    z = np.arange(len(column["m(z)"]))
    axes.bar(z, column["m(z)"], width=0.9, color="#d9d9d9", label="marginal m(z)")
    lines = (("e(z)", INK, "e(z)"), ("e(z|0)", CLASS_COLOURS[0], "e(z|class 0)"), ("e(z|1)", CLASS_COLOURS[1], "e(z|class 1)"))
    for name, colour, label in lines:
        dots = {"linestyle": "none"} if len(z) < 5 else {"linewidth": 1.3}
        axes.plot(z, column[name], color=colour, marker="o", markersize=3.0, label=label, **dots)
    axes.set_xlabel("code z")
    if len(z) < 5:
        axes.set_xticks(z)
        axes.set_xlim(-1.2, len(z) + 0.2)


def _tables(figure: Figure, row: NDArray[np.object_], name: str, columns: list[Column]) -> None:
    label, across, down = TABLES[name]
    norm = PowerNorm(0.5, 0.0, max(float(column[name].max()) for column in columns))
    image: AxesImage | None = None
    for axes, column in zip(row, columns, strict=True):
        image = axes.imshow(column[name], norm=norm, cmap="cividis", aspect="auto", interpolation="nearest")
        axes.set_xlabel(across)
        for set_ticks, count in zip((axes.set_yticks, axes.set_xticks), column[name].shape, strict=True):
            if count < 5:
                set_ticks(range(count))
    row[0].set_ylabel(down)
    assert image is not None
    bar = figure.colorbar(image, ax=list(row), fraction=0.05, pad=0.01, aspect=14)
    bar.set_label(label)
    bar.outline.set_linewidth(0.5)
    bar.outline.set_edgecolor(GREY)


def _legend(axes: Axes) -> list[Artist]:
    return axes.get_legend_handles_labels()[0]


def _same_height(row: Sequence[Axes]) -> None:
    top = max(axes.get_ylim()[1] for axes in row)
    for axes in row:
        axes.set_ylim(0, top)

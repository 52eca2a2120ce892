"""What each part of the model buys: the plane of all runs, and the frontiers split by encoder, decoder and marginal.

Alemi et al. 2018, Fig. 3a (D against R) and Fig. 3b (D + R against R), panels i-iv. In panel i the shape of a mark is the
marginal, its lightness the decoder, its filling the encoder.
"""

from collections.abc import Sequence
from itertools import cycle
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ratelab.analysis.family import PARTS
from ratelab.analysis.plane import Plane
from ratelab.analysis.point import Point
from ratelab.report.look import COLOURS, GREY, MARKERS, new_figure, style
from ratelab.report.plane_figure import draw_limits, draw_lines, height, staircase

_ORDER = (COLOURS[0], COLOURS[2], COLOURS[1], *COLOURS[3:])
_TOLD_BY = {"encoder": "filling", "decoder": "shade", "marginal": "shape"}
_FILLS = ("full", "none", "left", "bottom", "right", "top")


def differing_parts(plane: Plane) -> list[str]:
    """The parts (encoder, decoder, marginal) of which the runs shown have more than one kind."""
    return [part for part in PARTS if len(_kinds(plane.shown, part)) > 1]


def parts_figure(plane: Plane, total: bool = False) -> Figure:
    """Four panels: (i) all runs with frontier, hull and D + R = H-hat; (ii-iv) the frontier of each encoder, decoder, marginal."""
    with style():
        figure = new_figure(7.6, 7.2)
        panels: list[Axes] = list(figure.subplots(2, 2, sharex=True, sharey=True).flat)
        draw_limits(panels[0], plane.shown, total)
        draw_lines(panels[0], plane, total)
        looks = _Looks(plane.shown)
        for point in plane.shown:
            panels[0].plot(point.rate.value, height(point, total), **looks.of(point))
        panels[0].set_title("(i) all runs", loc="left")
        for axes, part, number in zip(panels[1:], PARTS, ("ii", "iii", "iv"), strict=True):
            _frontiers(axes, plane, part, total)
            axes.set_title(f"({number}) frontiers by {part}", loc="left")
        for axes in panels:
            axes.label_outer()
        columns = [[line for line in panels[0].lines if line.get_gid()], *looks.legend()]
        depth = max(map(len, columns))
        handles = [entry for column in columns for entry in (*column, *[_word("")] * (depth - len(column)))]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(columns), title="panel (i)", alignment="left")
    return figure


def _frontiers(axes: Axes, plane: Plane, part: str, total: bool) -> None:
    """One stepwise frontier per kind of ``part``, its runs as small dots of the same colour."""
    draw_limits(axes, plane.shown, total)
    right, top = axes.get_xlim()[1], axes.get_ylim()[1] + axes.get_xlim()[1]
    for kind, colour, dash in zip(_kinds(plane.shown, part), cycle(_ORDER), cycle(("-", (0, (5, 1.5)), (0, (1.5, 1))))):
        group = Plane(plane.data, tuple(p for p in plane.shown if p.traits.get(part, "none") == kind))
        steps = staircase([p.xy for p in group.frontier], right, top)
        rates, distortions = zip(*steps, strict=True)
        heights = [d + r for r, d in steps] if total else distortions
        axes.plot(rates, heights, color=colour, linestyle=dash, linewidth=1.6, label=kind)
        x, y = [p.rate.value for p in group.shown], [height(p, total) for p in group.shown]
        axes.plot(x, y, linestyle="none", marker="o", markersize=2.5, color=colour, alpha=0.6)
    axes.legend(loc="best", title=part, title_fontsize=8)


class _Looks:
    """The marks of panel i: shape = marginal, lightness = decoder, filling = encoder."""

    def __init__(self, points: Sequence[Point]) -> None:
        self.kinds = {part: _kinds(points, part) for part in PARTS}

    def of(self, point: Point) -> dict[str, Any]:
        """Line properties of one run's mark."""
        return self._properties(**{part: point.traits.get(part, "none") for part in PARTS})

    def legend(self) -> list[list[Line2D]]:
        """One column for each part that differs: what of the mark tells it, then its kinds in grey but for the decoder's shades."""
        first = {part: kinds[0] for part, kinds in self.kinds.items()}
        columns = []
        for part, kinds in self.kinds.items():
            if len(kinds) > 1:
                looks = [
                    self._properties(**{**first, part: kind}, colour=None if part == "decoder" else GREY) for kind in kinds
                ]
                entries = [Line2D([], [], label=kind, **look) for kind, look in zip(kinds, looks, strict=True)]
                columns.append([_word(f"{part}, by {_TOLD_BY[part]}"), *entries])
        return columns

    def _properties(self, encoder: str, decoder: str, marginal: str, colour: Any = None) -> dict[str, Any]:
        count = max(len(self.kinds["decoder"]) - 1, 1)
        colour = colour or _lighter(COLOURS[0], 0.62 * self.kinds["decoder"].index(decoder) / count)
        return {
            "linestyle": "none",
            "marker": MARKERS[self.kinds["marginal"].index(marginal) % len(MARKERS)][0],
            "fillstyle": _FILLS[self.kinds["encoder"].index(encoder) % len(_FILLS)],
            "color": colour,
            "markeredgecolor": colour,
            "markersize": 5.5,
            "markeredgewidth": 1.1,
            "zorder": 3,
        }


def _word(text: str) -> Line2D:
    """An entry of a legend that is a word and no mark."""
    return Line2D([], [], linestyle="none", label=text)


def _kinds(points: Sequence[Point], part: str) -> list[str]:
    return list(dict.fromkeys(p.traits.get(part, "none") for p in points))


def _lighter(colour: str, by: float) -> tuple[float, ...]:
    return tuple(c + (1 - c) * by for c in to_rgb(colour))

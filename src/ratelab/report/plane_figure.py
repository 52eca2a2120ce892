"""The rate-distortion plane as a static figure: D against R, and D + R against R (Alemi et al. 2018, Fig. 3a and 3b, panel i)."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ratelab.analysis.plane import Plane
from ratelab.analysis.point import Point
from ratelab.report.look import GREY, INK, LIGHT, Mark, marks, new_figure, style

XY = tuple[float, float]
RATE, DISTORTION, SUM = "rate R (nats)", "distortion D (nats)", "D + R (nats)"
_MARGIN = 0.06


def plane_figure(plane: Plane, total: bool = False) -> Figure:
    """All runs with error bars of one standard error, the stepwise frontier, the convex hull and the line D + R = H-hat.

    ``total=True`` puts D + R on the vertical axis: the same points, lines of equal D + R lying flat.
    """
    with style():
        figure = new_figure(6.0, 4.6)
        axes = figure.add_subplot()
        looks = marks(plane.families)
        draw_limits(axes, plane.shown, total)
        draw_lines(axes, plane, total)
        for family in plane.families:
            draw_points(axes, [p for p in plane.shown if p.family == family], looks[family], total, label=family)
        columns = 2 if max(map(len, plane.families), default=0) < 32 else 1
        figure.legend(loc="outside lower center", ncols=columns)
    return figure


def height(point: Point, total: bool) -> float:
    """The vertical coordinate of a run: D, or D + R."""
    return sum(point.xy) if total else point.distortion.value


def draw_limits(axes: Axes, points: Sequence[Point], total: bool) -> None:
    """Axes that hold every point and its error bar with some room, from rate 0 on."""
    rights = [p.rate.value + _error(p.rate.stderr) for p in points]
    error = [_error(p.neg_elbo.stderr if total else p.distortion.stderr) for p in points]
    lows = [height(p, total) - e for p, e in zip(points, error, strict=True)]
    highs = [height(p, total) + e for p, e in zip(points, error, strict=True)]
    right, low, high = max([*rights, 1e-3]), min(lows), max(highs)
    tall = max(high - low, 1e-3)
    axes.set_xlim(min(0.0, *(p.rate.value for p in points)) - _MARGIN / 2 * right, right * (1 + _MARGIN))
    axes.set_ylim(low - _MARGIN * tall, high + _MARGIN * tall)
    axes.set_xlabel(RATE)
    axes.set_ylabel(SUM if total else DISTORTION)
    axes.grid(color=LIGHT, linewidth=0.5, zorder=0)
    axes.set_axisbelow(True)


def draw_lines(axes: Axes, plane: Plane, total: bool) -> None:
    """The dashed line of the smallest D + R, the grey hull and the black steps of the achieved frontier."""
    smallest = plane.h_hat
    if smallest is None:
        return
    hat = sum(smallest.xy)
    right, top = axes.get_xlim()[1], axes.get_ylim()[1] + axes.get_xlim()[1]
    ends = hat_line(hat, right)
    label = rf"$D + R = \hat{{H}} = {hat:.4g}$ nats"
    axes.plot(*_xy(ends, total), color=INK, linewidth=1.0, linestyle=(0, (4, 3)), label=label, zorder=1.5, gid="h-hat")
    corners = [p.xy for p in plane.hull]
    axes.plot(*_xy(corners, total), color=GREY, linewidth=2.6, alpha=0.55, label="convex hull", zorder=1.8, gid="hull")
    steps = staircase([p.xy for p in plane.frontier], right, top)
    axes.plot(*_xy(steps, total), color=INK, linewidth=1.0, label="achieved frontier", zorder=2, gid="frontier")


def draw_points(axes: Axes, points: Sequence[Point], mark: Mark, total: bool, label: str) -> None:
    """One family's runs as marks with error bars of one standard error on both axes; hollow ones on a line for one model's points."""
    hollow = bool(points) and points[0].conditioned
    face, edge, width = ("white", mark.colour, 1.2) if hollow else (mark.colour, "white", 0.6)
    for path in one_model(points):
        axes.plot([p.rate.value for p in path], [height(p, total) for p in path], color=mark.colour, linewidth=0.8, zorder=2.5)
    axes.errorbar(
        [p.rate.value for p in points],
        [height(p, total) for p in points],
        xerr=[_error(p.rate.stderr) for p in points],
        yerr=[_error(p.neg_elbo.stderr if total else p.distortion.stderr) for p in points],
        linestyle="none",
        marker=mark.marker,
        markersize=5.5,
        markerfacecolor=face,
        markeredgecolor=edge,
        markeredgewidth=width,
        ecolor=mark.colour,
        elinewidth=0.9,
        capsize=0,
        zorder=3,
    )
    line = {"linestyle": "-", "linewidth": 0.8, "markerfacecolor": "white"} if hollow else {"linestyle": "none"}
    axes.plot([], [], marker=mark.marker, color=mark.colour, markersize=5.5, label=label, **line)


def one_model(points: Sequence[Point]) -> list[list[Point]]:
    """The points of each conditioned model, by rising rate."""
    found: dict[str, list[Point]] = {}
    for point in sorted((p for p in points if p.conditioned), key=lambda p: p.xy):
        found.setdefault(point.record.folder.id, []).append(point)
    return list(found.values())


def staircase(corners: Sequence[XY], right: float, top: float) -> list[XY]:
    """The boundary of what the runs at ``corners`` (by rising rate) achieve, from the top edge down to the right edge.

    >>> staircase([(1.0, 5.0), (3.0, 2.0)], right=9.0, top=8.0)
    [(1.0, 8.0), (1.0, 5.0), (3.0, 5.0), (3.0, 2.0), (9.0, 2.0)]
    """
    path: list[XY] = [(corners[0][0], top)]
    for rate, distortion in corners:
        path += [(rate, path[-1][1]), (rate, distortion)]
    return [*path[:1], *path[2:], (right, corners[-1][1])]


def hat_line(hat: float, right: float) -> list[XY]:
    """D + R = H-hat from (0, H-hat) to (H-hat, 0); to the right edge where H-hat is negative (densities).

    >>> hat_line(5.0, 9.0), hat_line(-2.0, 9.0)
    ([(0.0, 5.0), (5.0, 0.0)], [(0.0, -2.0), (9.0, -11.0)])
    """
    end = hat if hat > 0 else right
    return [(0.0, hat), (end, hat - end)]


def _xy(path: Sequence[XY], total: bool) -> tuple[list[float], list[float]]:
    return [r for r, _ in path], [d + r if total else d for r, d in path]


def _error(stderr: float) -> float:
    return stderr if 0 <= stderr < float("inf") else 0.0

"""The achieved frontier of a set of (rate, distortion) points and its lower-left convex hull (Alemi et al. 2018, Fig. 3).

Plain coordinates in, indices out; both axes in nats. Everything here is exact: no tolerance, no smoothing.
"""

from collections.abc import Sequence
from itertools import pairwise

XY = tuple[float, float]


def dominates(a: XY, b: XY) -> bool:
    """Whether ``a`` is at least as good as ``b`` on both axes and better on one (smaller is better on both).

    >>> dominates((1.0, 2.0), (1.0, 3.0)), dominates((1.0, 2.0), (1.0, 2.0))
    (True, False)
    """
    return a[0] <= b[0] and a[1] <= b[1] and a != b


def frontier(points: Sequence[XY]) -> list[int]:
    """Indices of the points that no other point dominates, by rising rate: the corners of the stepwise frontier.

    Points with equal coordinates do not dominate each other, so all of them stay.

    >>> frontier([(0.0, 9.0), (5.0, 5.0), (6.0, 7.0), (9.0, 1.0)])
    [0, 1, 3]
    """
    kept: list[int] = []
    for i in sorted(range(len(points)), key=lambda i: points[i]):
        if not kept or points[i][1] < points[kept[-1]][1] or points[i] == points[kept[-1]]:
            kept.append(i)
    return kept


def hull(points: Sequence[XY]) -> list[int]:
    """Indices of the vertices of the lower-left convex hull, by rising rate.

    The hull runs from the best point at the lowest rate to the best point at the lowest distortion; its slopes rise
    strictly from -infinity towards 0. Every point lies on or above it, and the minimum of D + beta R over all points is at
    one of its vertices for every beta > 0: it is what a beta-sweep can reach.

    >>> hull([(0.0, 9.0), (5.0, 5.0), (4.0, 3.0), (9.0, 1.0)])
    [0, 2, 3]
    """
    vertices: list[int] = []
    for i in frontier(points):
        if vertices and points[i] == points[vertices[-1]]:
            continue
        while len(vertices) >= 2 and _turn(points[vertices[-2]], points[vertices[-1]], points[i]) <= 0:
            vertices.pop()
        vertices.append(i)
    return vertices


def upper_hull(points: Sequence[XY]) -> list[int]:
    """Indices of the vertices of the upper convex hull, from the leftmost to the rightmost point; no three lie on a line.

    >>> upper_hull([(0.0, 1.0), (1.0, 3.0), (2.0, 3.5), (1.5, 2.0), (4.0, 1.0)])
    [0, 1, 2, 4]
    """
    vertices: list[int] = []
    for i in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1])):
        if vertices and points[i][0] == points[vertices[-1]][0]:
            continue
        while len(vertices) >= 2 and _turn(points[vertices[-2]], points[vertices[-1]], points[i]) >= 0:
            vertices.pop()
        vertices.append(i)
    return vertices


def best_for_rate(points: Sequence[XY], higher: bool = True) -> list[int]:
    """Indices of the models to choose from for a given total rate, by rising rate (Xiao and Bamler 2023, section 5.3).

    ``points``: (total rate, score). The end vertices of every facet of the upper hull that is seen from (0, 2 max): all rising
    ones, and those falling ones whose line meets rate 0 below twice the best score. Where a lower score is better, the scores
    are mirrored within their range first.

    >>> best_for_rate([(1.0, 1.0), (2.0, 3.0), (3.0, 3.5), (2.5, 2.0), (3.2, 1.0)])
    [0, 1, 2]
    """
    low, high = min(v for _, v in points), max(v for _, v in points)
    scores = points if higher else [(r, low + high - v) for r, v in points]
    vertices = upper_hull(scores)
    top = max(v for _, v in scores)
    kept: set[int] = {max(vertices, key=lambda i: scores[i][1])}
    for a, b in pairwise(vertices):
        (r0, v0), (r1, v1) = scores[a], scores[b]
        if v1 > v0 or v0 - r0 * (v1 - v0) / (r1 - r0) < 2 * top:
            kept |= {a, b}
    return [i for i in vertices if i in kept]


def sag(points: Sequence[XY]) -> list[float]:
    """How far each point lies below the chord from the first to the last one, in nats of distortion.

    >>> sag([(0.0, 10.0), (4.0, 3.0), (10.0, 0.0)])
    [0.0, 3.0, 0.0]
    """
    (r0, d0), (r1, d1) = points[0], points[-1]
    if r0 == r1:
        return [0.0] * len(points)
    return [d0 + (d1 - d0) * (r - r0) / (r1 - r0) - d for r, d in points]


def _turn(a: XY, b: XY, c: XY) -> float:
    """Positive when a, b, c turn to the left: b is then a strict vertex of a lower hull."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

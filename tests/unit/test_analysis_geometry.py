"""Frontier and hull against their definitions, for any set of points."""

import itertools
from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratelab.analysis.geometry import XY, dominates, frontier, hull, sag

# A coarse grid gives ties and collinear triples often, and all arithmetic on it is exact.
COORDINATE = st.integers(-40, 400).map(lambda k: k / 4)
POINTS = st.lists(st.tuples(COORDINATE, COORDINATE), min_size=1, max_size=30)


def height(vertices: list[XY], rate: float) -> float:
    """The hull's distortion at a rate: a straight line between vertices, flat to the right of the last one."""
    at = bisect_right([r for r, _ in vertices], rate)
    if at == 0:
        return float("inf")
    if at == len(vertices):
        return vertices[-1][1]
    (r0, d0), (r1, d1) = vertices[at - 1], vertices[at]
    return d0 + (d1 - d0) * (rate - r0) / (r1 - r0)


@pytest.mark.spec("RD25")
@given(POINTS)
def test_the_frontier_holds_exactly_the_points_that_nothing_dominates(points: list[XY]) -> None:
    expected = {i for i, p in enumerate(points) if not any(dominates(q, p) for q in points)}
    assert set(frontier(points)) == expected


@given(POINTS)
def test_the_frontier_rises_in_rate_and_falls_in_distortion(points: list[XY]) -> None:
    kept = [points[i] for i in frontier(points)]
    for (r0, d0), (r1, d1) in itertools.pairwise(kept):
        assert (r0 < r1 and d0 > d1) or (r0, d0) == (r1, d1)


@pytest.mark.spec("RD26")
@given(POINTS)
def test_every_point_lies_on_or_above_the_hull(points: list[XY]) -> None:
    vertices = [points[i] for i in hull(points)]
    for rate, distortion in points:
        assert rate >= vertices[0][0]
        if rate > vertices[0][0] or distortion < vertices[0][1]:
            assert distortion >= height(vertices, rate) - 1e-9


@pytest.mark.spec("RD26")
@given(POINTS, st.floats(0.01, 100))
def test_the_hull_holds_the_optimum_of_every_slope_and_is_strictly_convex(points: list[XY], beta: float) -> None:
    vertices = [points[i] for i in hull(points)]
    assert min(d + beta * r for r, d in vertices) == pytest.approx(min(d + beta * r for r, d in points), abs=1e-9)
    slopes = [(d1 - d0) / (r1 - r0) for (r0, d0), (r1, d1) in itertools.pairwise(vertices)]
    assert all(a < b for a, b in itertools.pairwise(slopes))
    assert all(slope < 0 for slope in slopes)


@given(POINTS)
def test_hull_vertices_sag_below_the_chord_and_its_ends_lie_on_it(points: list[XY]) -> None:
    depths = sag([points[i] for i in hull(points)])
    assert depths[0] == depths[-1] == pytest.approx(0.0, abs=1e-9)
    assert all(depth > 0 for depth in depths[1:-1])


def test_the_smallest_sum_is_at_a_hull_vertex() -> None:
    points = [(0.0, 10.0), (2.0, 7.5), (4.0, 5.0), (9.0, 2.0), (3.0, 9.0)]
    assert hull(points) == [0, 2, 3]
    assert frontier(points) == [0, 1, 2, 3]

"""What the page's script draws of a grid of two-layer models: rates, prices, every score with its hull, and what is missing."""

from collections.abc import Sequence
from typing import Any

from ratelab.analysis.choice import Task, role
from ratelab.analysis.landscape import Landscape, optimal, score
from ratelab.analysis.point import Point
from ratelab.report.numbers import shown
from ratelab.report.panels import Scored, label


def landscape_json(land: Landscape) -> dict[str, Any]:
    """Cells as indices into ``upper`` and ``lower``; scores as one value for each cell, null where it was not measured.

    Scores that fewer than three runs have are left out, as in the figures.
    """
    points = land.points
    return {
        "family": land.family,
        "upper": list(land.upper),
        "lower": list(land.lower),
        "cells": [_cell(land, cell, point) for cell, point in land.cells.items()],
        "scores": [_score(land, task, points) for task in (None, *land.tasks) if Scored.of(land, task) is not None],
    }


def _cell(land: Landscape, cell: tuple[float, float], point: Point) -> dict[str, Any]:
    return {
        "run": point.run,
        "at": [land.upper.index(cell[0]), land.lower.index(cell[1])],
        "rates": [rate.value for rate in point.rates],
        "total": point.rate.value,
        "role": role(point),
    }


def _score(land: Landscape, task: Task | None, points: Sequence[Point]) -> dict[str, Any]:
    chosen = optimal(land, task)
    known = next(p for p in points if score(p, task) is not None)
    return {
        "name": label(task, known),
        "better": "higher" if task is not None and task.higher else "lower",
        "values": [score(p, task) for p in points],
        "texts": [_text(p, task) for p in points],
        "hull": [next(i for i, p in enumerate(points) if p is best) for best in chosen],
    }


def _text(point: Point, task: Task | None) -> str:
    if task is None:
        return shown(point.distortion)
    return shown(task.values[point.run]) if point.run in task.values else "not measured"

"""Numbers and runs in few words, for lines and tables: nats, with one standard error."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ratelab.core.estimate import Estimate


def measured(estimate: Estimate, digits: int = 2) -> str:
    """A value and its standard error.

    >>> measured(Estimate(12.345, 0.067, 250, of="rate")), measured(Estimate(math.nan, math.nan, 1, of="rate", why="no encoder"))
    ('12.35 ± 0.07', 'unknown')
    """
    value = plain(estimate.value, 0 if estimate.counted else digits)
    return f"{value} ± {estimate.stderr:.{digits}f}" if math.isfinite(estimate.value + estimate.stderr) else value


def plain(value: float, digits: int = 2) -> str:
    """A number alone; ``inf`` and ``unknown`` are words."""
    if math.isnan(value):
        return "unknown"
    return f"{value:.{digits}f}" if math.isfinite(value) else str(value)


def rate_and_distortion(results: Mapping[str, Any]) -> str:
    """``R 12.3 D 20.1 nats`` of a run's results and the target it missed, or its status and why it has none."""
    estimates = results.get("estimates", {})
    if results["status"] != "done" or not {"rate", "distortion"} <= set(estimates):
        return f"{results['status']}{': ' + results['why'] if results.get('why') else ''}"
    rate, distortion = (Estimate.from_json(estimates[name]).value for name in ("rate", "distortion"))
    missed = f"; {results['why']}" if results.get("why") else ""
    return f"R {plain(rate, 1)} D {plain(distortion, 1)} nats{missed}"


def labels(recipes: Sequence[Mapping[str, Any]]) -> list[str]:
    """A short label for each run of a sweep: its family, and what it asks its objective for."""
    from ratelab.analysis.family import families
    from ratelab.analysis.point import as_one_of_many, settings

    read = [as_one_of_many(recipe) for recipe in recipes]
    pairs = zip(families(read, [1] * len(read)), settings(read), strict=True)
    return [" ".join(part for part in pair if part) for pair in pairs]

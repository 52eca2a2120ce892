"""Numbers as people read them: as many digits as their standard error supports, and what they claim."""

import math

from ratelab.core.estimate import Estimate

BOUNDS = {"exact": "exact", "upper": "upper bound", "lower": "lower bound", "estimate": "estimate, no bound"}
_UNITS = {"nat": "nats", "bit": "bits", "bit/dim": "bits per dimension", "1": "no unit"}


def number(value: float, stderr: float = math.nan) -> str:
    """A value with two digits of its standard error.

    >>> number(80.2345, 0.123), number(2.5, math.nan), number(math.inf), number(1234.5, 25.0)
    ('80.23 ± 0.12', '2.500', '∞', '1234 ± 25')
    """
    if math.isnan(value):
        return "unknown"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if not (0 < stderr < math.inf):
        return f"{value:.{_decimals(value, 4)}f}".replace("-", "−")
    digits = _decimals(stderr, 2)
    return f"{value:.{digits}f} ± {stderr:.{digits}f}".replace("-", "−")


def shown(estimate: Estimate) -> str:
    """An estimate's value ± one standard error, or that it is unknown or infinite and why.

    >>> shown(Estimate(float("nan"), float("nan"), 0, of="rate", why="no encoder"))
    'unknown: no encoder'
    """
    text = f"{estimate.value:.0f}" if estimate.counted else number(estimate.value, estimate.stderr)
    return f"{text}: {estimate.why}" if estimate.why and not math.isfinite(estimate.value) else text


def unit(name: str) -> str:
    """A unit's name in the plural."""
    return _UNITS.get(name, name)


def _decimals(value: float, digits: int) -> int:
    """Decimals that show ``digits`` significant digits of a value, at most 6."""
    if value == 0:
        return digits - 1
    return min(max(digits - 1 - math.floor(math.log10(abs(value))), 0), 6)

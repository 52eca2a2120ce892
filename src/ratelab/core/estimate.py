"""A measured number that says what it is: its error, its unit, and on which side of the truth it lies.

An estimate is written to ``results.json`` and read back without torch; JSON has neither infinity nor NaN, so an
infinite value is the text ``"inf"`` and an unknown one is ``null`` with a ``"why"``.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ratelab.core.units import COUNT, NAT

Bound = Literal["exact", "upper", "lower", "estimate"]


OF_LABEL = (
    "distortion of the label"  # what a distortion is of where the decoder scores labels: no place on the plane of the data
)


OF_CODES = "distortion of another run's codes (density)"  # likewise where what is scored are codes that another run draws


@dataclass(frozen=True)
class Estimate:
    """One measured quantity.

    ``value`` and ``stderr`` are in ``unit`` (nats unless said otherwise); ``value`` is ``inf`` for an infinite quantity and
    NaN for an unknown one, with the reason in ``why``. ``n`` is the number of examples behind it. ``bound`` says how the
    expectation of ``value`` relates to the quantity named in ``of``: ``exact`` (computed, or an unbiased estimate of the
    quantity itself), ``upper`` or ``lower`` bound, or an ``estimate`` without a guaranteed side.
    """

    value: float
    stderr: float
    n: int
    of: str
    bound: Bound = "exact"
    unit: str = NAT
    why: str | None = None

    @property
    def counted(self) -> bool:
        """Whether it is a number of things: whole, without a unit, and of no standard error."""
        return self.unit == COUNT and math.isnan(self.stderr) and self.value.is_integer()

    def to_json(self) -> dict[str, Any]:
        """A JSON object: ``{"value", "stderr", "n", "unit", "bound", "of"}`` and ``"why"`` when the value is unknown.

        >>> Estimate(float("inf"), float("nan"), 10, of="rate").to_json()["value"]
        'inf'
        """
        record: dict[str, Any] = {
            "value": number_to_json(self.value),
            "stderr": number_to_json(self.stderr),
            "n": self.n,
            "unit": self.unit,
            "bound": self.bound,
            "of": self.of,
        }
        if self.why or record["value"] is None:
            record["why"] = self.why or "not a number"
        return record

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Estimate":
        """The inverse of :meth:`to_json`.

        >>> e = Estimate(1.5, 0.1, 10, of="rate")
        >>> Estimate.from_json(e.to_json()) == e
        True
        """
        return cls(
            value=number_from_json(record["value"]),
            stderr=number_from_json(record["stderr"]),
            n=int(record["n"]),
            of=record["of"],
            bound=record["bound"],
            unit=record["unit"],
            why=record.get("why"),
        )


def number_to_json(value: float) -> float | str | None:
    """A finite number as itself, infinity as ``"inf"``/``"-inf"``, NaN as ``None``."""
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return float(value)


def number_from_json(value: float | str | None) -> float:
    """The inverse of :func:`number_to_json`."""
    return math.nan if value is None else float(value)

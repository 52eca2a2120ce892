"""Means with standard errors over examples: what most estimators report."""

import math
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from ratelab.core.estimate import Bound, Estimate
from ratelab.core.units import NAT


@dataclass
class Column:
    """Per-example values of one quantity, collected batch by batch; nothing is averaged before the end."""

    parts: list[np.ndarray] = field(default_factory=list)

    def add(self, values: Tensor) -> None:
        """Append (..., B) values of one batch."""
        self.parts.append(values.detach().double().cpu().numpy())

    def merge(self, other: "Column") -> None:
        """Append what another column holds."""
        self.parts.extend(other.parts)

    @property
    def values(self) -> np.ndarray:
        """(..., N) float64."""
        return np.concatenate(self.parts, axis=-1)


def mean_of(values: np.ndarray, of: str, bound: Bound = "exact", unit: str = NAT, why: str | None = None) -> Estimate:
    """The mean of (N,) per-example values with its standard error, sd / sqrt(N)."""
    n = len(values)
    value = float(values.mean()) if n else math.nan
    error = float(values.std(ddof=1) / math.sqrt(n)) if n > 1 and math.isfinite(value) else math.nan
    return Estimate(value, error, n, of=of, bound=bound, unit=unit, why=why)

"""The toy data of Alemi et al. 2018 (section 4, "Toy model"): two hidden classes seen through Gaussian noise, in 30 bins.

Class 0 has 70 % of the mass. The means are -1 and +1; the paper gives neither them nor the bins, only that x carries 0.5 nats about
the class, from which the common standard deviation follows.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.optimize import brentq
from scipy.special import xlogy
from scipy.stats import norm

from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.data.source import Count, Seed, Source

Floats = NDArray[np.float64]
CLASSES = np.array([0.7, 0.3])
MEANS = np.array([-1.0, 1.0])
NARROW, WIDE = 0.05, 20.0  # standard deviations at which the classes are all but told apart, and all but alike


@dataclass(frozen=True, kw_only=True)
class Toy(Source):
    """30 states whose index is all an example is, trained on as an exact sum over p\\*(x); the label is the more probable class.

    ``information``: nats that x carries about the hidden class, below 0.61. ``reach``: the bins cover [-reach, reach], the tails go to
    the outer ones. ``sample``: train on this many draws (of ``seed``) instead. Validation and test: ``n`` rows in the proportions of
    p\\*(x). The tables themselves: :func:`joint`.
    """

    bins: Annotated[int, Field(ge=2)] = 30
    information: Annotated[float, Field(gt=0, lt=0.61)] = 0.5
    reach: Annotated[float, Field(gt=1)] = 4.0
    n: Annotated[int, Field(ge=100)] = 10_000
    sample: Count | None = None
    seed: Seed = 0

    def read(self, root: Path) -> Dataset:
        table = joint(self.bins, self.information, self.reach)
        law, classes = table.sum(0), table.argmax(0)

        def split(x: NDArray[np.int64], weight: Floats | None = None) -> Split:
            return Split(x.astype(np.float32), classes[x].astype(np.int64), weight)

        if self.sample is not None:
            train = split(np.random.RandomState(self.seed).choice(self.bins, self.sample, p=law))
        elif self.limit is None:
            train = split(np.arange(self.bins), law)
        else:
            raise UserError("data 'toy': limit: it is trained on all of p*(x) at once; for fewer examples give sample: N")
        measured = split(np.repeat(np.arange(self.bins), proportional(law, self.n)))
        return Dataset("toy", Support.REAL, train, measured, measured, label_names=("class 0", "class 1"))


def binned(deviation: float, bins: int, reach: float) -> Floats:
    """p(x|c), (2, bins), for a common standard deviation."""
    edges = np.linspace(-reach, reach, bins + 1)[1:-1]
    below = norm.cdf((edges - MEANS[:, None]) / deviation)
    return np.diff(below, prepend=0.0, append=1.0)


def information(deviation: float, bins: int, reach: float) -> float:
    """I(x; c) in nats."""
    table = binned(deviation, bins, reach)
    return float((CLASSES @ (xlogy(table, table) - xlogy(table, CLASSES @ table))).sum())


def deviation_for(nats: float, bins: int = 30, reach: float = 4.0) -> float:
    """The common standard deviation at which I(x; c) is ``nats``, by root finding; :class:`UserError` where none is.

    >>> round(deviation_for(0.5), 6)
    0.596257
    """
    if not information(WIDE, bins, reach) < nats < information(NARROW, bins, reach):
        raise UserError(f"data 'toy': no noise lets {bins} bins on [-{reach:g}, {reach:g}] carry {nats:g} nats; ask for less")
    return float(brentq(lambda s: information(s, bins, reach) - nats, NARROW, WIDE, xtol=1e-15, rtol=1e-14))


def joint(bins: int = 30, nats: float = 0.5, reach: float = 4.0) -> Floats:
    """p(c, x), (2, bins), with I(x; c) = ``nats``; its sum over classes is p\\*(x)."""
    return CLASSES[:, None] * binned(deviation_for(nats, bins, reach), bins, reach)


def proportional(probabilities: Floats, n: int) -> NDArray[np.int64]:
    """Whole counts that add up to ``n``, each within 1 of its share (largest remainders)."""
    shares = n * probabilities
    counts = np.floor(shares).astype(np.int64)
    counts[np.argsort(counts - shares)[: n - counts.sum()]] += 1
    return counts

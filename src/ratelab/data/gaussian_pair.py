"""Two full Gaussians of any dimension whose divergence is known: the synthetic experiments of Rosca et al. 2018, App. D.

x = A e + b with e ~ N(0, I_k), k = 2 n, entries of b from N(0, 1) and of A from N(0, 1/k): two such laws P_1 and P_2, drawn independently.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ratelab.core.dataset import Dataset, Split, Support
from ratelab.data.source import Seed, Source

Floats = NDArray[np.float64]


class AffineNormal(NamedTuple):
    """N(b, A A'): ``weight`` A (n, 2 n), ``shift`` b (n,)."""

    weight: Floats
    shift: Floats


def gaussian_pair(dimensions: int, seed: int) -> tuple[AffineNormal, AffineNormal]:
    """P_1 and P_2; a function of both numbers alone."""
    stream = np.random.RandomState([seed, dimensions])
    laws = [
        AffineNormal(
            stream.standard_normal((dimensions, 2 * dimensions)) / np.sqrt(2 * dimensions), stream.standard_normal(dimensions)
        )
        for _ in range(2)
    ]
    return laws[0], laws[1]


@dataclass(frozen=True)
class PairOfGaussians(Dataset):
    """Draws of P_2, and the two laws."""

    laws: tuple[AffineNormal, AffineNormal] | None = None


@dataclass(frozen=True, kw_only=True)
class GaussianPair(Source):
    """Draws of P_2 of two random Gaussians of ``dimensions``; ``n`` rows in each split. For ``gaussian-critic``; no download."""

    dimensions: Annotated[int, Field(ge=1, le=5000)] = 10
    n: Annotated[int, Field(ge=2)] = 5000
    seed: Seed = 0

    def read(self, root: Path) -> Dataset:
        laws = gaussian_pair(self.dimensions, self.seed)
        stream = np.random.RandomState([self.seed, self.dimensions, 1])

        def drawn() -> Split:
            source = stream.standard_normal((self.n, 2 * self.dimensions))
            return Split((source @ laws[1].weight.T + laws[1].shift).astype(np.float32))

        return PairOfGaussians("gaussian-pair", Support.REAL, drawn(), drawn(), drawn(), laws=laws)

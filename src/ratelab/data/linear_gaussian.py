"""Draws from a Gaussian whose best rate-distortion curve is known in closed form (reverse water-filling)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from ratelab.core.dataset import Dataset, Split, Support
from ratelab.data.source import Seed, Source


@dataclass(frozen=True, kw_only=True)
class LinearGaussian(Source):
    """Synthetic x ~ N(0, diag(eigenvalues)), ``n`` + n/5 + n/5 rows, drawn on the spot: no download."""

    eigenvalues: Annotated[tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...], Field(min_length=1)] = (
        4.0,
        1.0,
        0.25,
    )
    n: Annotated[int, Field(ge=5)] = 10_000
    seed: Seed = 0

    def read(self, root: Path) -> Dataset:
        stream = np.random.RandomState(self.seed)
        deviations = np.sqrt(self.eigenvalues)

        def drawn(n: int) -> Split:
            return Split((stream.standard_normal((n, len(deviations))) * deviations).astype(np.float32))

        return Dataset("linear-gaussian", Support.REAL, drawn(self.n), drawn(self.n // 5), drawn(self.n // 5))

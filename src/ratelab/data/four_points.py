"""Four data points in four dimensions, on which posteriors of two latents can be seen (Kingma et al. 2016, Fig. 2; K19, Fig. 3.2)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from ratelab.core.dataset import Dataset, Split, Support
from ratelab.data.source import Source

POINTS = 4


@dataclass(frozen=True, kw_only=True)
class FourPoints(Source):
    """The four one-hot vectors of length four, ``n`` times each, in every split; H = log 4. The label says which one. No download."""

    n: Annotated[int, Field(ge=1)] = 50

    def read(self, root: Path) -> Dataset:
        which = np.tile(np.arange(POINTS), self.n)
        split = Split(np.eye(POINTS, dtype=np.uint8)[which], which.astype(np.int64))
        return Dataset("four-points", Support.BINARY, split, split, split)

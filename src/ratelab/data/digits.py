"""The 8x8 digits that come with scikit-learn: real data that needs no download."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ratelab.core.dataset import Dataset, Split, Support
from ratelab.data.source import Source

_SPLIT_SEED = 0
_TRAIN, _VALIDATION = 1297, 250


@dataclass(frozen=True, kw_only=True)
class Digits(Source):
    """8x8 handwritten digits of scikit-learn, 1297 / 250 / 250, embedded: no download.

    ``threshold`` (default): x = 1 where the level, 0 to 16, is at least 8. ``none``: level / 16, real numbers in [0, 1].
    """

    binarise: Literal["threshold", "none"] = "threshold"

    def read(self, root: Path) -> Dataset:
        levels, labels = shuffled_digits()
        binary = self.binarise == "threshold"
        x = (levels >= 8).astype(np.uint8) if binary else (levels / 16).astype(np.float32)
        cuts = [_TRAIN, _TRAIN + _VALIDATION]
        train, validation, test = (Split(part, y) for part, y in zip(np.split(x, cuts), np.split(labels, cuts), strict=True))
        support = Support.BINARY if binary else Support.UNIT
        return Dataset("digits", support, train, validation, test, label_names=tuple("0123456789"))


def shuffled_digits() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """All 1797 images (1797, 1, 8, 8) with levels 0 to 16, and labels, in a fixed random order."""
    from sklearn.datasets import load_digits

    found: Any = load_digits()
    order = np.random.RandomState(_SPLIT_SEED).permutation(len(found.images))
    return found.images[order][:, None], found.target[order].astype(np.int64)

"""ColorMNIST: digits in colour, 28x28x3 (Metz et al. 2017; Rosca et al. 2018, App. K, do not say how theirs is made)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ratelab.core.dataset import SPLITS, Dataset, Split, Support
from ratelab.data.digits import Digits
from ratelab.data.mnist import read_grey
from ratelab.data.source import Count, Seed, Source


@dataclass(frozen=True, kw_only=True)
class ColorMnist(Source):
    """Digits in colour, 28x28x3 in 256 levels, deterministic by seed; each split is made from MNIST's own split.

    ``stacked``: three random digits in red, green and blue, 1000 modes, label = 100 r + 10 g + b. ``tinted``: each digit in one
    random colour (its brightest channel at full strength, so that none is invisible), label = digit. ``digits: embedded``
    uses the 8x8 digits of scikit-learn, enlarged, where there is no MNIST.
    """

    mode: Literal["stacked", "tinted"] = "stacked"
    digits: Literal["mnist", "embedded"] = "mnist"
    seed: Seed = 0
    validation: Count = 10_000

    def read(self, root: Path) -> Dataset:
        grey = (
            read_grey("mnist", root, self.validation)
            if self.digits == "mnist"
            else _enlarged(Digits(binarise="none").read(root))
        )
        make = stacked if self.mode == "stacked" else tinted
        parts = (make(getattr(grey, which), np.random.RandomState([self.seed, k])) for k, which in enumerate(SPLITS))
        train, validation, test = parts
        modes = 1000 if self.mode == "stacked" else 10
        names = tuple(f"{k:0{len(str(modes - 1))}d}" for k in range(modes))
        return Dataset("color-mnist", Support.LEVELS, train, validation, test, label_names=names, note=self.mode)


def stacked(grey: Split, stream: np.random.RandomState) -> Split:
    """As many images as ``grey`` has, each of three of its digits drawn with replacement."""
    picks = stream.randint(0, len(grey), size=(len(grey), 3))
    labels = _labels(grey)[picks] @ np.array([100, 10, 1])
    return Split(grey.x[picks, 0], labels.astype(np.int64))


def tinted(grey: Split, stream: np.random.RandomState) -> Split:
    """Every digit of ``grey`` in a random colour."""
    colour = stream.random_sample((len(grey), 3, 1, 1)).astype(np.float32)
    colour /= colour.max(axis=1, keepdims=True)
    return Split(np.rint(grey.x * colour).astype(np.uint8), _labels(grey))  # type: ignore[operator]


def _labels(grey: Split) -> NDArray[np.int64]:
    assert grey.y is not None, "digits always have labels"
    return grey.y


def _enlarged(digits: Dataset) -> Dataset:
    """8x8 digits in [0, 1] as 28x28 levels: every pixel three times as wide and high, two empty pixels around."""

    def enlarge(split: Split) -> Split:
        big = np.kron(split.x, np.ones((1, 1, 3, 3), np.float32))
        levels: NDArray[Any] = np.rint(255 * np.pad(big, ((0, 0), (0, 0), (2, 2), (2, 2))))
        return Split(levels.astype(np.uint8), split.y)

    return Dataset("digits", Support.LEVELS, enlarge(digits.train), enlarge(digits.validation), enlarge(digits.test))

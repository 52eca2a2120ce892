"""Characters drawn by a program: stands in for Omniglot where nothing can be downloaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ratelab.core.dataset import Dataset, Split, Support
from ratelab.data.binarise import binarised
from ratelab.data.source import Count, Seed, Source

_SIDE, _STROKES, _POINTS = 28, 2, 24
_PEN, _JITTER = 0.9, 1.2
_ROWS_AT_ONCE = 200


@dataclass(frozen=True, kw_only=True)
class Strokes(Source):
    """Invented characters of two curved strokes, 28x28, ``n`` + n/5 + n/5 drawings, made on the spot: no download.

    Every character is a pair of quadratic Bezier curves; every drawing of it shakes their control points. Label = character.
    """

    n: Annotated[int, Field(ge=5)] = 2000
    characters: Count = 10
    binarise: Literal["threshold", "dynamic", "none"] = "threshold"
    seed: Seed = 0

    def read(self, root: Path) -> Dataset:
        stream = np.random.RandomState(self.seed)
        templates = stream.uniform(4, _SIDE - 5, size=(self.characters, _STROKES, 3, 2))
        train, validation, test = (_drawn(templates, n, stream) for n in (self.n, self.n // 5, self.n // 5))
        return binarised(Dataset("strokes", Support.LEVELS, train, validation, test), self.binarise, self.seed)


def _drawn(templates: NDArray[np.float64], n: int, stream: np.random.RandomState) -> Split:
    labels = stream.randint(0, len(templates), size=n)
    shaken = templates[labels] + _JITTER * stream.standard_normal((n, *templates.shape[1:]))
    images = np.concatenate([_ink(shaken[i : i + _ROWS_AT_ONCE]) for i in range(0, n, _ROWS_AT_ONCE)])
    return Split(images, labels.astype(np.int64))


def _ink(curves: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Curves (N, strokes, 3 control points, 2) as grey images (N, 1, 28, 28): a round pen along every curve."""
    t = np.linspace(0, 1, _POINTS)[:, None]
    weights = np.concatenate([(1 - t) ** 2, 2 * t * (1 - t), t**2], axis=1)
    points = (weights @ curves).reshape(len(curves), -1, 2).astype(np.float32)
    grid = np.arange(_SIDE, dtype=np.float32)
    # The pen is a Gaussian, a product over the two axes, so its reach is taken per axis; max over the points of the curve.
    down, across = (np.exp(-(((grid - points[..., axis, None]) / _PEN) ** 2) / 2) for axis in (0, 1))
    ink = np.zeros((len(curves), _SIDE, _SIDE), np.float32)
    for k in range(points.shape[1]):
        np.maximum(ink, down[:, k, :, None] * across[:, k, None, :], out=ink)
    return np.rint(255 * np.minimum(1, 1.4 * ink)).astype(np.uint8)[:, None]

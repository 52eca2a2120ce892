"""Grey images as 0/1 data: by a threshold, drawn once, or drawn anew at every access.

Seeds drive numpy's frozen ``RandomState``, whose streams never change: the content of a data set is part of a run's
identity, and a later numpy must not alter it.
"""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ratelab.core.dataset import Dataset, Split, Support

Binarisation = Literal["none", "threshold", "once", "dynamic"]

_SEED = 20160221
_ROWS_AT_ONCE = 5000


def binarised(grey: Dataset, how: Binarisation, seed: int = _SEED) -> Dataset:
    """``grey`` (support ``levels`` or ``unit``) as binary data.

    ``threshold``: x = 1 where grey >= 1/2 (equal to rounding, since no level is exactly 1/2). ``once``: every split drawn
    once, x ~ Bernoulli(grey). ``dynamic``: the training images stay grey, as 256 levels, and are drawn at every access;
    validation and test are drawn once. ``none``: unchanged.
    """
    if how == "none":
        return grey
    top = round(1 / grey.scale)
    train = _as_levels(grey.train, top) if how == "dynamic" else _held_still(grey.train, top, how, [seed, 0])
    validation, test = (_held_still(split, top, how, [seed, k]) for k, split in ((1, grey.validation), (2, grey.test)))
    note = {
        "threshold": "binarised at 1/2",
        "once": "binarised once at random",
        "dynamic": "binarised at random at every access",
    }
    return replace(
        grey,
        support=Support.BINARY,
        train=train,
        validation=validation,
        test=test,
        resampled=how == "dynamic",
        note="; ".join(filter(None, [grey.note, note[how]])),
    )


def _as_levels(split: Split, top: int) -> Split:
    return Split(np.rint(split.x.astype(np.float32) * (255 / top)).astype(np.uint8), split.y)


def _held_still(split: Split, top: int, how: Binarisation, seed: list[int]) -> Split:
    if how == "threshold":
        return Split((2 * split.x.astype(np.float32) >= top).astype(np.uint8), split.y)
    return Split(drawn(split.x, top, seed), split.y)


def drawn(grey: NDArray[Any], top: int, seed: int | list[int]) -> NDArray[np.uint8]:
    """One 0/1 draw per pixel with probability ``grey / top``."""
    stream = np.random.RandomState(seed)
    parts = [grey[i : i + _ROWS_AT_ONCE] for i in range(0, len(grey), _ROWS_AT_ONCE)]
    return np.concatenate([(stream.random_sample(part.shape) * top < part).astype(np.uint8) for part in parts])

"""The contract of a data set: splits of arrays that say what their values are. No torch here."""

import hashlib
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ratelab.core.errors import UserError

SPLITS = ("train", "validation", "test")


class Support(str, Enum):
    """What the values of a data set are; a decoder declares which it can score."""

    BINARY = "binary"  # 0 or 1
    UNIT = "unit"  # real numbers in [0, 1]
    LEVELS = "levels"  # one of 256 levels, given to models as level / 255
    REAL = "real"  # any real number


@dataclass(frozen=True)
class Split:
    """One split. ``x``: (N, \\*event), images as (N, C, H, W); ``y``: (N,) integer labels or None.

    ``x`` is kept small: uint8 for binary data (0/1) and for 256 levels (0..255), float32 otherwise. ``weight``: (N,), the
    probability of each row, where a training split is a whole finite p\\*(x) and its mean an exact sum.
    """

    x: NDArray[np.generic]
    y: NDArray[np.int64] | None = None
    weight: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Dataset:
    """Training, validation and test split of one data set.

    Choices look at validation, what is reported comes from test. ``resampled``: the training images are probabilities
    that are drawn anew as 0/1 at every access (dynamic binarisation); validation and test are drawn once.
    ``label_names`` and ``note`` are for people.
    """

    name: str
    support: Support
    train: Split
    validation: Split
    test: Split
    resampled: bool = False
    label_names: tuple[str, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        for which in SPLITS:
            split: Split = getattr(self, which)
            if split.x.shape[1:] != self.train.x.shape[1:]:
                raise UserError(
                    f"data '{self.name}': the {which} split has examples of shape {split.x.shape[1:]}, "
                    f"the training split of shape {self.train.x.shape[1:]}"
                )
            if split.y is not None and len(split.y) != len(split.x):
                raise UserError(f"data '{self.name}': the {which} split has {len(split.x)} examples but {len(split.y)} labels")
            if split.weight is not None and (which != "train" or len(split.weight) != len(split.x)):
                raise UserError(f"data '{self.name}': weights belong to the training split, one for each of its examples")

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one example: (C, H, W) for images, (D,) for tables."""
        return tuple(self.train.x.shape[1:])

    @property
    def scale(self) -> float:
        """What stored values are multiplied by before a model sees them: 1/255 for grey levels kept as uint8, else 1.

        The training images of a resampled data set are stored as levels too and always count as level / 255.
        """
        return 1.0 / 255.0 if self.train.x.dtype == np.uint8 and self.support is not Support.BINARY else 1.0

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content (values, shapes, labels, support): part of a run's identity."""
        sha = hashlib.sha256(f"{self.support.value}/{self.resampled}".encode())
        for which in SPLITS:
            split: Split = getattr(self, which)
            for array in (split.x, split.y):
                if array is None:
                    sha.update(b"none")
                else:
                    sha.update(f"{which}/{array.dtype.str}/{array.shape}".encode())
                    sha.update(np.ascontiguousarray(array).data)
        if self.train.weight is not None:
            sha.update(b"weight")
            sha.update(np.ascontiguousarray(self.train.weight).data)
        return sha.hexdigest()

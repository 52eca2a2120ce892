"""The contract of a data set's entry in the table: options in, :class:`~ratelab.core.dataset.Dataset` out."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from ratelab.core.dataset import Dataset, Split
from ratelab.core.errors import UserError
from ratelab.data.files import data_root

Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]


@dataclass(frozen=True, kw_only=True)
class Source(ABC):
    """Where a data set comes from. The fields of a subclass are its options in a recipe.

    ``limit`` keeps only that many training examples (the first ones); validation and test stay whole. ``held_out`` keeps only
    that many examples of each of these two, evenly spaced (a test split may be sorted by class).
    """

    limit: Count | None = None
    held_out: Count | None = None

    def load(self, folder: Path | None = None) -> Dataset:
        """Read the data set below ``folder`` (None: ``RATELAB_DATA``, else the user's cache).

        Raises :class:`UserError` for a file that is missing, damaged, or not what its name says.
        """
        dataset = self.read(data_root(folder))
        if self.limit is not None:
            dataset = replace(dataset, train=first(dataset.train, self.limit))
        if self.held_out is not None:
            validation, test = (spread(split, self.held_out) for split in (dataset.validation, dataset.test))
            dataset = replace(dataset, validation=validation, test=test)
        return dataset

    @abstractmethod
    def read(self, root: Path) -> Dataset:
        """The whole data set; ``root`` holds one sub-folder for each data set."""


def first(split: Split, n: int) -> Split:
    """The first ``n`` examples of a split."""
    return rows(split, slice(0, n))


def spread(split: Split, n: int) -> Split:
    """``n`` examples of a split at equal distances, all of it where it has no more."""
    return split if n >= len(split) else rows(split, np.linspace(0, len(split) - 1, n).round().astype(int))


def rows(split: Split, which: object) -> Split:
    """The examples that ``which`` (a slice or an index array) picks."""
    y, weight = (None if part is None else part[which] for part in (split.y, split.weight))  # type: ignore[call-overload]
    return Split(split.x[which], y, weight)  # type: ignore[call-overload]


def hold_out(name: str, train: Split, n: int) -> tuple[Split, Split]:
    """Split the last ``n`` training examples off for validation: (rest, validation)."""
    if n >= len(train):
        raise UserError(f"data '{name}': validation: {n} leaves nothing of {len(train)} training examples; take fewer")
    return rows(train, slice(0, len(train) - n)), rows(train, slice(len(train) - n, None))

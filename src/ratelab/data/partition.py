"""Random splits of a user's own data, the same for the same seed."""

from typing import Annotated

import numpy as np
from pydantic import Field

from ratelab.core.dataset import Split
from ratelab.core.errors import UserError
from ratelab.data.source import rows

Fraction = Annotated[float, Field(gt=0, lt=1)]


def partitioned(everything: Split, validation: float, test: float, seed: int, where: str) -> tuple[Split, Split, Split]:
    """Shuffle by ``seed`` and hold out the two fractions, at least one row each: (train, validation, test)."""
    n = len(everything)
    held, tested = (max(1, round(n * fraction)) for fraction in (validation, test))
    if held + tested >= n:
        raise UserError(
            f"{where}: {n} examples cannot give {held} for validation, {tested} for test and any for training; "
            "give more data or smaller fractions"
        )
    order = np.random.RandomState(seed).permutation(n)
    cuts = [n - held - tested, n - tested]
    train, kept, last = (rows(everything, part) for part in np.split(order, cuts))
    return train, kept, last

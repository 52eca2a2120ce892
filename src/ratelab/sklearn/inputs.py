"""What the data are: their likelihood, and arrays that torch can take."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ratelab.core.errors import UserError

Floats = NDArray[np.floating]
Likelihood = Literal["bernoulli", "gaussian"]


def is_binary(x: Floats) -> bool:
    """Every value is 0 or 1."""
    return bool(((x == 0) | (x == 1)).all())


def choose_likelihood(asked: Literal["auto"] | Likelihood, x: Floats) -> Likelihood:
    """The likelihood asked for, or for ``auto`` the one that fits the values; :class:`UserError` where it cannot score them."""
    binary = is_binary(x)
    if asked == "auto":
        return "bernoulli" if binary else "gaussian"
    if asked == "bernoulli" and not binary:
        raise UserError("likelihood: 'bernoulli' needs values 0 and 1 only, and X has others; use 'gaussian' or 'auto'")
    return asked


def writable(x: Floats) -> Floats:
    """Rows in order in memory of their own where they are not: torch takes neither read-only nor reversed arrays."""
    return np.require(x, requirements=["C", "W"])

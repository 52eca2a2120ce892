"""How much of a randomly binarised image is the draw alone (Alemi et al. 2018, sec. 4)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

_ROWS_AT_ONCE = 5000


def pixel_sampling_entropy(grey: NDArray[Any]) -> float:
    """Mean over images of the sum over pixels of H2(grey value), in nats.

    ``grey``: (N, \\*event), bytes as levels of 255 or floats in [0, 1]. It is the conditional entropy of x ~
    Bernoulli(grey) given the grey image: what the draw alone adds to x. Alemi et al. state about 22 for MNIST; by this
    definition its official test images give 45.5.

    >>> round(pixel_sampling_entropy(np.full((3, 2), 0.5)), 6)
    1.386294
    """
    total = 0.0
    for start in range(0, len(grey), _ROWS_AT_ONCE):
        part = grey[start : start + _ROWS_AT_ONCE]
        p = part / 255.0 if part.dtype == np.uint8 else part.astype(np.float64)
        total -= float((xlogy(p, p) + xlogy(1 - p, 1 - p)).sum())
    return total / len(grey)

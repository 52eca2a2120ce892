"""Nats inside; everything else is converted at the edge."""

import math

NAT = "nat"
BIT = "bit"
BITS_PER_DIM = "bit/dim"
DECIBEL = "dB"
COUNT = "1"


def nats_to_bits(nats: float) -> float:
    """Nats to bits.

    >>> round(nats_to_bits(math.log(2)), 12)
    1.0
    """
    return nats / math.log(2)


def nats_to_bits_per_dim(nats: float, dimensions: int) -> float:
    """Nats per example to bits per dimension: nats / (D ln 2) (Kingma & Welling 2019).

    >>> round(nats_to_bits_per_dim(784 * math.log(2), 784), 12)
    1.0
    """
    return nats / (dimensions * math.log(2))

"""Mutual information from nearest neighbours, for numbers, categories and mixtures of both (Gao et al. 2017, Algorithm 1).

For each point, the distance to its k-th neighbour in the joint space (maximum norm) says how far to look in each space alone:
I = mean of psi(k_i) + log N - psi(n_x,i + 1) - psi(n_z,i + 1), with k_i the number of exact ties where that distance is zero. The
paper prints logarithms for the last two; its code has psi, without which a few neighbours among independent values give -0.05 nats.
Where distances are whole numbers, as between one-hot codes, points tie at others than zero, too. These are counted in the same way, all
of them: of k neighbours that were picked from among them none would be found strictly nearer, which would read as information.
Needs scipy. An estimate without a side: it is biased towards zero where the information or the dimension is large.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree
from scipy.special import digamma

from ratelab.core.errors import UserError


def mixed_ksg(x: ArrayLike, z: ArrayLike, neighbours: int = 5) -> float:
    """I(x; z) in nats from paired rows ``x`` (N, ...) and ``z`` (N, ...); categories are given as numbers.

    Raises :class:`UserError` where the rows do not pair up, or there are too few of them.

    >>> coin = np.arange(1000) % 2
    >>> round(mixed_ksg(coin, coin), 2)  # log 2
    0.69
    """
    return float(mixed_ksg_terms(x, z, neighbours).mean())


def mixed_ksg_terms(x: ArrayLike, z: ArrayLike, neighbours: int = 5) -> NDArray[np.float64]:
    """What each pair adds to :func:`mixed_ksg`, (N,), whose mean it is."""
    first, second = _rows(x), _rows(z)
    n = len(first)
    if len(second) != n:
        raise UserError(f"mixed_ksg: {n} rows of x and {len(second)} of z do not pair up")
    if not 1 <= neighbours < n:
        raise UserError(f"mixed_ksg: {neighbours} neighbours among {n} points; give at least 1 and fewer than the points")
    joint = np.concatenate([first, second], 1)
    tree = cKDTree(joint)
    radius, further = tree.query(joint, k=neighbours + 2, p=np.inf)[0][:, -2:].T
    # All points up to a distance at which they tie are counted; otherwise those strictly within the k-th neighbour's.
    tied = (radius == 0) | (radius == further)
    reach = np.where(tied, radius * (1 + 1e-12) + 1e-15, np.nextafter(radius, 0))
    k = np.full(n, neighbours, dtype=np.float64)
    if tied.any():
        k[tied] = tree.query_ball_point(joint[tied], reach[tied], p=np.inf, return_length=True) - 1
    within = [cKDTree(part).query_ball_point(part, reach, p=np.inf, return_length=True) for part in (first, second)]
    # The counts take in the point itself: n_x + 1 of the formula is the count.
    terms: NDArray[np.float64] = digamma(k) + np.log(n) - digamma(within[0]) - digamma(within[1])
    return terms


def _rows(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    return array.reshape(len(array), -1)

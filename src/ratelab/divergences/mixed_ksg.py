"""Mutual information of two samples by nearest neighbours, discrete, continuous or mixed (Gao et al. 2017, Algorithm 1).

An estimate without a guaranteed side; an option of Xiao and Bamler 2023's public code (k = 5, max-norm). Kraskov et al. 2004 where
nothing is discrete.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def mixed_ksg(x: Floats, y: Floats, k: int = 5) -> float:
    """I(x; y) in nats from N pairs, x (N, d) and y (N, e), in the max-norm.

    Points that tie with at least k others (repeated values) count all their ties as neighbours.
    """
    from scipy.spatial import cKDTree
    from scipy.special import digamma

    n = len(x)
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    joint = cKDTree(np.concatenate([x, y], 1))
    radius = joint.query(np.concatenate([x, y], 1), k + 1, p=np.inf)[0][:, k]
    tied = radius == 0
    within = np.where(tied, 1e-15, np.nextafter(radius, 0))  # strictly nearer than the k-th neighbour

    def count(points: Floats, radii: Floats) -> Floats:
        found: Floats = cKDTree(points).query_ball_point(points, radii, p=np.inf, return_length=True)
        return found

    neighbours = np.where(tied, count(np.concatenate([x, y], 1), np.full(n, 1e-15)), k)
    return float((digamma(neighbours) + np.log(n) - digamma(count(x, within)) - digamma(count(y, within))).mean())

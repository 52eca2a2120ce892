"""Maximum mean discrepancy between two sets of points (Gretton et al. 2012; Tolstikhin et al. 2018; Zhao et al. 2017).

MMD^2(a, b) = E k(z, z') + E k(u, u') - 2 E k(z, u) with z, z' ~ a and u, u' ~ b. The biased estimator averages over all pairs,
a point with itself included, and is never negative; the unbiased one leaves those out and has the right mean.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ratelab.core.law import without_autocast

Kernel = Callable[[Tensor], Tensor]
"""From squared distances (..., n, m) to kernel values of the same shape."""

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


@without_autocast
def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """(..., n, d) and (..., m, d) -> (..., n, m), never negative."""
    cross = a @ b.mT
    return (a.square().sum(-1).unsqueeze(-1) + b.square().sum(-1).unsqueeze(-2) - 2 * cross).clamp(min=0)


def multi_scale_imq(dimensions: int, variance: Tensor | float = 1.0) -> Kernel:
    """sum_s C_s / (C_s + r^2) with C_s = s 2 d sigma^2 over seven scales: 7 at r = 0 (Tolstikhin et al. 2018, App. F).

    ``variance``: sigma^2, of one coordinate of the marginal.
    """

    def kernel(squared: Tensor) -> Tensor:
        widths = (2 * dimensions * variance * scale for scale in SCALES)
        terms = [width / (width + squared) for width in widths]
        return torch.stack(terms).sum(0)

    return kernel


def rbf(width: Tensor | float) -> Kernel:
    """exp(-r^2 / (2 h)) with h = ``width``."""
    return lambda squared: torch.exp(-squared / (2 * width))


def infovae_rbf(dimensions: int) -> Kernel:
    """exp(-r^2 / d^2), the kernel of the InfoVAE's published code (Zhao et al. 2017)."""
    return rbf(dimensions**2 / 2)


def median_width(z: Tensor, u: Tensor) -> Tensor:
    """(...,) h of :func:`rbf`: median squared distance between the sets plus that within the second one (Tolstikhin et al. 2018)."""
    n = u.shape[-2]
    rows, columns = torch.triu_indices(n, n, 1, device=u.device)
    within = squared_distances(u, u)[..., rows, columns]
    between = squared_distances(z, u).flatten(-2)
    return (between.median(-1).values + within.median(-1).values).detach()


def mmd2(z: Tensor, u: Tensor, kernel: Kernel, *, biased: bool = False) -> Tensor:
    """The squared discrepancy of points ``z`` (..., n, d) and ``u`` (..., m, d): (...,).

    >>> points = torch.randn(5, 2)
    >>> float(mmd2(points, points, rbf(1.0), biased=True)) < 1e-6
    True
    """
    n, m = z.shape[-2], u.shape[-2]
    cross = kernel(squared_distances(z, u)).mean((-2, -1))
    return _within(kernel(squared_distances(z, z)), n, biased) + _within(kernel(squared_distances(u, u)), m, biased) - 2 * cross


def _within(values: Tensor, n: int, biased: bool) -> Tensor:
    if biased:
        return values.mean((-2, -1))
    others = values * (1 - torch.eye(n, dtype=values.dtype, device=values.device))
    return others.sum((-2, -1)) / max(n * (n - 1), 1)  # a last batch of one example has no pairs

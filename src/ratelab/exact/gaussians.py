"""Densities, entropies and divergences of Gaussians in nats, written out (independent of ``torch.distributions``).

Shapes: vectors are (..., d), covariances (..., d, d); leading axes broadcast.
"""

import math

import torch
from torch import Tensor

_LOG_2PI = math.log(2 * math.pi)


def kl_diagonal(mean: Tensor, std: Tensor, other_mean: Tensor, other_std: Tensor) -> Tensor:
    """KL(N(mean, std^2) || N(other_mean, other_std^2)) of diagonal Gaussians, summed over the last axis: (...), nats."""
    scaled = (std**2 + (mean - other_mean) ** 2) / (2 * other_std**2)
    return (torch.log(other_std / std) + scaled - 0.5).sum(-1)


def kl_to_standard(mean: Tensor, std: Tensor) -> Tensor:
    """KL(N(mean, std^2) || N(0, I)) of a diagonal Gaussian, summed over the last axis: (...), nats.

    >>> round(kl_to_standard(torch.zeros(1), torch.full((1,), 0.5)).item(), 5)
    0.31815
    """
    return 0.5 * (mean**2 + std**2 - 1 - 2 * torch.log(std)).sum(-1)


def kl_full(mean: Tensor, covariance: Tensor, other_mean: Tensor, other_covariance: Tensor) -> Tensor:
    """KL(N(mean, covariance) || N(other_mean, other_covariance)): (...), nats. Covariances must be positive definite."""
    factor = torch.linalg.cholesky(other_covariance)
    trace = torch.cholesky_solve(covariance, factor).diagonal(dim1=-2, dim2=-1).sum(-1)
    log_ratio = log_determinant(other_covariance) - log_determinant(covariance)
    return 0.5 * (trace + _mahalanobis(mean - other_mean, factor) - mean.shape[-1] + log_ratio)


def entropy(covariance: Tensor) -> Tensor:
    """Differential entropy of N(., covariance): (..., d, d) -> (...), nats; may be negative."""
    return 0.5 * (covariance.shape[-1] * (1 + _LOG_2PI) + log_determinant(covariance))


def log_density(x: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """log N(x; mean, covariance): (..., d), (..., d), (..., d, d) -> (...), nats."""
    factor = torch.linalg.cholesky(covariance)
    return -0.5 * (_mahalanobis(x - mean, factor) + x.shape[-1] * _LOG_2PI + log_determinant(covariance))


def log_determinant(covariance: Tensor) -> Tensor:
    """log |covariance| of a positive definite matrix: (..., d, d) -> (...)."""
    return 2 * torch.log(torch.linalg.cholesky(covariance).diagonal(dim1=-2, dim2=-1)).sum(-1)


def _mahalanobis(deviation: Tensor, factor: Tensor) -> Tensor:
    """Squared length of ``deviation`` (..., d) in units of the covariance with Cholesky ``factor`` (..., d, d)."""
    return torch.linalg.solve_triangular(factor, deviation.unsqueeze(-1), upper=False).square().sum((-2, -1))

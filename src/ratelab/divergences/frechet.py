"""The Frechet distance of two sets of feature vectors as if both were Gaussian (Heusel et al. 2017): FID on features of one's own.

||mu_a - mu_b||^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)): 0 for equal sets, ||v||^2 for the same Gaussian moved by v.
"""

import torch
from torch import Tensor


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """The mean (F,) and the unbiased covariance (F, F) of features (N, F), in float64."""
    features = features.double()
    mean = features.mean(0)
    centred = features - mean
    return mean, centred.mT @ centred / max(len(features) - 1, 1)


def frechet(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> float:
    """The squared distance of two Gaussians given by mean and covariance; in squared units of the features."""
    (mean_a, spread_a), (mean_b, spread_b) = a, b
    root = _root(spread_a)
    cross = torch.linalg.eigvalsh(root @ spread_b @ root).clamp(min=0).sqrt().sum()
    return float((mean_a - mean_b).square().sum() + spread_a.trace() + spread_b.trace() - 2 * cross)


def _root(spread: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(spread)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.mT

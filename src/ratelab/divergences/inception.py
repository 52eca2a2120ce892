"""The Inception score and its two factors, from a classifier's log-probabilities (Xiao and Bamler 2023, eq. 12; Salimans et al. 2016).

IS = exp(E KL(p(y|x) || p(y))) = exp(H[p(y)]) * exp(-E H[p(y|x)]) = diversity * sharpness, with p(y) the mean over the images:
1 <= IS <= M, 1 <= diversity <= M, 1/M <= sharpness <= 1.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Inception(NamedTuple):
    """Per split, (S,) each: ``score`` = ``diversity`` * ``sharpness``."""

    score: Tensor
    diversity: Tensor
    sharpness: Tensor


def inception(log_probs: Tensor, splits: int) -> Inception:
    """From (N, M) log-probabilities, cut in ``splits`` runs of nearly equal length (none is dropped), in float64."""
    parts = log_probs.double().log_softmax(-1).tensor_split(splits)
    rows = [_one(part) for part in parts]
    return Inception(*torch.tensor(rows, dtype=torch.float64).unbind(-1))


def _one(log_probs: Tensor) -> tuple[float, float, float]:
    probs = log_probs.exp()
    marginal = probs.mean(0)
    log_marginal = marginal.clamp(min=1e-300).log()
    divergence = (probs * (log_probs - log_marginal)).sum(-1).mean()
    diversity, sharpness = -(marginal * log_marginal).sum(), (probs * log_probs).sum(-1).mean()
    return divergence.exp().item(), diversity.exp().item(), sharpness.exp().item()

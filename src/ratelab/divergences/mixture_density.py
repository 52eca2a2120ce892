"""The density of an equal-weight mixture of many Gaussians, by matrix products in bounded memory (Rosca et al. 2018, App. E.1).

log q(z) = log (1/N) sum_n N(z; mu_n, diag sigma_n^2) for S points and N components: -1/2 sum_j (z_j - mu_j)^2 / sigma_j^2 is linear in
(z_j^2, z_j), so all S N scores are one matrix product, taken block by block with a running log-sum-exp. Exponentials of numbers
near float32's smallest are thirty times slower than others; scores 80 nats below the largest count for nothing and are cut there.
"""

import math

import torch
from torch import Tensor

ROWS, COLUMNS = 256, 2048  # a block of scores: 2 MB in float32, which stays in the cache
CUT, RISE = -80.0, 40.0  # nats from the largest score: what counts for nothing, and what is a new largest
MASKED = -1e30
TOLERANCE = 1e-3  # nats of rounding, beyond which the products are taken in float64


def log_sum_others(z: Tensor, loc: Tensor, log_scale: Tensor, own: Tensor) -> Tensor:
    """(S,) log sum over n != own_s of N(z_s; loc_n, diag exp(2 log_scale_n)), nats; ``-inf`` where there is no other.

    ``z``: (S, d); ``loc``, ``log_scale``: (N, d); ``own``: (S,) the component that each point is left out of, -1 for none.
    Memory: the linear form of the points, (S, 2 d + 2), and one block of components and of scores.

    >>> z = torch.zeros(1, 1)
    >>> round(float(log_sum_others(z, torch.zeros(3, 1), torch.zeros(3, 1), torch.tensor([0])).exp()), 4)
    0.7979
    """
    centre = loc.mean(0)
    points, one = z - centre, z.new_ones(len(z), 1)
    rows = torch.cat([points.square(), points, one, 0 * one], -1)
    largest = torch.full((len(z),), MASKED, dtype=z.dtype, device=z.device)
    total = torch.zeros(len(z), dtype=torch.float64, device=z.device)
    buffer = z.new_empty(ROWS * COLUMNS)
    for left in range(0, len(loc), COLUMNS):
        block = slice(left, left + COLUMNS)
        weights, energy = _linear_form(loc[block] - centre, log_scale[block])
        # Near its component, where a score counts, it is a difference of numbers as large as the component's energy, and of the largest
        # score before it.
        if z.dtype != torch.float64 and 2 * energy * torch.finfo(z.dtype).eps > TOLERANCE:
            return log_sum_others(z.double(), loc.double(), log_scale.double(), own)
        for top in range(0, len(z), ROWS):
            part = slice(top, top + ROWS)
            _add(rows[part], weights, own[part] - left, largest[part], total[part], buffer)
    return torch.where(largest > MASKED / 2, total.log() + largest.double(), -torch.inf)


def _linear_form(offset: Tensor, log_scale: Tensor) -> tuple[Tensor, float]:
    """Weights (N, 2 d + 2) of (z^2, z, 1, c) for z and the components' ``offset`` from one centre, and their largest energy.

    c is added to every score.
    """
    d = offset.shape[-1]
    weights = offset.new_empty(len(offset), 2 * d + 2)
    precision = (-2 * log_scale).exp_()
    pull = torch.mul(precision, offset, out=weights[:, d : 2 * d])
    energy = 0.5 * torch.linalg.vecdot(pull, offset)
    torch.mul(precision, -0.5, out=weights[:, :d])
    weights[:, -2] = -energy - log_scale.sum(-1) - 0.5 * d * math.log(2 * math.pi)
    weights[:, -1] = 1
    return weights, float(energy.max())


def _add(rows: Tensor, weights: Tensor, own: Tensor, largest: Tensor, total: Tensor, buffer: Tensor) -> None:
    """Add the rows' scores under a block of components, but their own, to ``total`` (R,), which counts in units of exp(``largest``).

    Scores come below the ``largest`` so far, as the last column of ``rows`` says, and far above it they raise it.
    """
    scores = buffer[: len(rows) * len(weights)].view(len(rows), len(weights))
    torch.mm(rows, weights.mT, out=scores)
    here = ((own >= 0) & (own < len(weights))).nonzero().squeeze(-1)
    scores[here, own[here]] = MASKED
    above = scores.amax(-1)
    raised = ((above > RISE) | ((largest <= MASKED) & (above > MASKED / 2))).nonzero().squeeze(-1)
    if len(raised):
        rise = above[raised]
        scores[raised] -= rise.unsqueeze(-1)
        total[raised] *= (-rise.double()).clamp_(max=0).exp()  # where nothing came before, scores may lie far below 0
        rows[raised, -1] -= rise
        largest[raised] = -rows[raised, -1]
    total += scores.clamp_(min=CUT).exp_().sum(-1)

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
    Memory: the linear form of the N components, (N, 2 d), and one block of scores.

    >>> z = torch.zeros(1, 1)
    >>> round(float(log_sum_others(z, torch.zeros(3, 1), torch.zeros(3, 1), torch.tensor([0])).exp()), 4)
    0.7979
    """
    weights, centre = _linear_form(loc, log_scale)
    total = torch.empty(len(z), dtype=torch.float64, device=z.device)
    buffer = torch.empty(ROWS, COLUMNS, dtype=weights.dtype, device=z.device)
    for top in range(0, len(z), ROWS):
        points = z[top : top + ROWS].to(weights.dtype) - centre
        ones = torch.ones_like(points[:, :1])
        rows = torch.cat([points.square(), points, ones, 0 * ones], -1)
        total[top : top + ROWS] = _scan(rows, weights, own[top : top + ROWS], buffer)
    return total


def _linear_form(loc: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (N, 2 d + 2) of (z^2, z, 1, c) for z around the components' mean (d,); c is added to every score."""
    centre, d = loc.mean(0), loc.shape[-1]
    weights = loc.new_empty(len(loc), 2 * d + 2)
    offset, precision = loc - centre, (-2 * log_scale).exp_()
    pull = torch.mul(precision, offset, out=weights[:, d : 2 * d])
    energy = 0.5 * torch.linalg.vecdot(pull, offset)
    # Near its component, where a score counts, it is a difference of numbers as large as the component's energy, and of the largest
    # score before it.
    if loc.dtype != torch.float64 and 2 * float(energy.max()) * torch.finfo(loc.dtype).eps > TOLERANCE:
        return _linear_form(loc.double(), log_scale.double())
    torch.mul(precision, -0.5, out=weights[:, :d])
    weights[:, -2] = -energy - log_scale.sum(-1) - 0.5 * d * math.log(2 * math.pi)
    weights[:, -1] = 1
    return weights, centre


def _scan(rows: Tensor, weights: Tensor, own: Tensor, buffer: Tensor) -> Tensor:
    """(R,) log-sum-exp of the rows' scores under all components but their own, block of components by block.

    Scores are taken below the ``largest`` so far, as the last column of ``rows`` says, and far above it they raise it.
    """
    largest = torch.full((len(rows),), MASKED, dtype=weights.dtype, device=rows.device)
    total = torch.zeros(len(rows), dtype=torch.float64, device=rows.device)
    everyone = torch.arange(len(rows), device=rows.device)
    for left in range(0, len(weights), COLUMNS):
        block, column = weights[left : left + COLUMNS], own - left
        scores = buffer.flatten()[: len(rows) * len(block)].view(len(rows), len(block))
        torch.mm(rows, block.mT, out=scores)
        here = (column >= 0) & (column < len(block))
        scores[everyone[here], column[here]] = MASKED
        above = scores.amax(-1)
        raised = ((above > RISE) | ((largest <= MASKED) & (above > MASKED / 2))).nonzero().squeeze(-1)
        if len(raised):
            rise = above[raised]
            scores[raised] -= rise.unsqueeze(-1)
            total[raised] *= (
                (-rise.double()).clamp_(max=0).exp()
            )  # a first block's scores may be far below 0, and nothing comes before it
            rows[raised, -1] -= rise
            largest[raised] = -rows[raised, -1]
        total += scores.clamp_(min=CUT).exp_().sum(-1)
    found = total.log() + largest.double()
    return torch.where(largest > MASKED / 2, found, -torch.inf)

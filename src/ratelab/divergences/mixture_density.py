"""The density of an equal-weight mixture of many Gaussians, by matrix products in bounded memory (Rosca et al. 2018, App. E.1).

log q(z) = log (1/N) sum_n N(z; mu_n, diag sigma_n^2) for S points and N components: -1/2 sum_j (z_j - mu_j)^2 / sigma_j^2 is linear in
(z_j^2, z_j), so all S N scores are one matrix product, taken block by block with a running log-sum-exp. Exponentials of numbers
near float32's smallest are thirty times slower than others; scores 80 nats below the largest count for nothing and are cut there.
"""

import math

import torch
from torch import Tensor

ROWS, COLUMNS = 256, 2048  # a block of scores: 2 MB in float32, which stays in the cache
CUT = -80.0
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
    weights, bias, centre = _linear_form(loc, log_scale)
    total = torch.empty(len(z), dtype=torch.float64, device=z.device)
    buffer = torch.empty(ROWS, COLUMNS, dtype=weights.dtype, device=z.device)
    for top in range(0, len(z), ROWS):
        points = z[top : top + ROWS].to(weights.dtype) - centre
        rows = torch.cat([points.square(), points], -1)
        total[top : top + ROWS] = _scan(rows, weights, bias, own[top : top + ROWS], buffer)
    return total


def _linear_form(loc: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weights (N, 2 d) of (z^2, z) and what does not depend on z, (N,), around the components' mean (d,)."""
    centre = loc.mean(0, dtype=torch.float64).to(loc.dtype)
    offset, precision = loc - centre, torch.exp(-2 * log_scale)
    pull = precision * offset
    energy = 0.5 * torch.linalg.vecdot(pull, offset)
    # Near its component, where a score counts, it is a difference of numbers as large as the component's energy.
    if loc.dtype != torch.float64 and float(energy.max()) * torch.finfo(loc.dtype).eps > TOLERANCE:
        return _linear_form(loc.double(), log_scale.double())
    constant = -energy - log_scale.sum(-1) - 0.5 * loc.shape[-1] * math.log(2 * math.pi)
    return torch.cat([-0.5 * precision, pull], -1), constant, centre


def _scan(rows: Tensor, weights: Tensor, bias: Tensor, own: Tensor, buffer: Tensor) -> Tensor:
    """(R,) log-sum-exp of the rows' scores under all components but their own, block of components by block."""
    largest = torch.full((len(rows), 1), MASKED, dtype=weights.dtype, device=rows.device)
    total = torch.zeros(len(rows), dtype=torch.float64, device=rows.device)
    everyone = torch.arange(len(rows), device=rows.device)
    for left in range(0, len(weights), COLUMNS):
        block, column = weights[left : left + COLUMNS], own - left
        scores = buffer.flatten()[: len(rows) * len(block)].view(len(rows), len(block))
        torch.addmm(bias[left : left + COLUMNS], rows, block.mT, out=scores)
        here = (column >= 0) & (column < len(block))
        scores[everyone[here], column[here]] = MASKED
        higher = torch.maximum(largest, scores.amax(-1, keepdim=True))
        total *= (largest - higher).squeeze(-1).double().exp()
        total += scores.sub_(higher).clamp_(min=CUT).exp_().sum(-1)
        largest = higher
    found = total.log() + largest.squeeze(-1).double()
    return torch.where(largest.squeeze(-1) > MASKED / 2, found, -torch.inf)

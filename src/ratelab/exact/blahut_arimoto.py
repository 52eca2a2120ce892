"""Rate-distortion functions and channel capacities of finite alphabets (Blahut 1972; Arimoto 1972).

Each result comes with the gap of Csiszar's bounds: how far, at most, it is from the optimum. Where the optimal support
changes (a kink of the curve) convergence is slow; the iteration limit then ends it and the gap says how close it came.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ratelab.core.errors import UserError
from ratelab.exact.discrete import kl, mutual_information, probabilities, weighted_log


@dataclass(frozen=True, eq=False)
class CurvePoints:
    """Achievable points of a rate-distortion curve, one per slope; nats, leading axes (...) as the slopes given.

    ``rate``, ``distortion``: (...); ``encoder``: (..., X, Z), the test channel that attains them; ``marginal``: (..., Z), its
    law of the code. ``gap``: (...), the most by which D + beta R lies above its minimum. ``iterations``: how many were made.
    """

    rate: Tensor
    distortion: Tensor
    encoder: Tensor
    marginal: Tensor
    gap: Tensor
    iterations: int


class Capacity(NamedTuple):
    """``value``: nats, a lower bound at most ``gap`` below the capacity; ``source``: (Z,), a law that attains it."""

    value: Tensor
    source: Tensor
    gap: Tensor
    iterations: int


def rate_distortion(
    data: Tensor, distortion: Tensor, beta: float | Tensor, *, tolerance: float = 1e-12, limit: int = 10_000
) -> CurvePoints:
    """Minimise D + beta I(X; Z) over all test channels e(z|x); the curve has slope dD/dR = -beta at the result.

    ``data``: (X,) probabilities; ``distortion``: (X, Z), any numbers, ``inf`` for a forbidden pair; ``beta``: a number or (...)
    tensor > 0, one point each. Stops when every gap is at most ``tolerance``, or after ``limit`` iterations.
    Raises :class:`~ratelab.core.errors.UserError` for inputs that do not fit.

    >>> hamming = 1 - torch.eye(2)
    >>> point = rate_distortion(torch.tensor([0.5, 0.5]), hamming, beta=0.5)
    >>> round(point.distortion.item(), 6)   # sigmoid(-2)
    0.119203
    """
    p, cost, slope = _checked(data, distortion, beta)
    cheapest = cost.amin(-1, keepdim=True)
    # A factor per row of x cancels; taking out the cheapest code keeps the exponentials from underflowing together.
    kernel = torch.exp(-(cost - cheapest) / slope[..., None, None])
    marginal = torch.full((*slope.shape, cost.shape[-1]), 1.0 / cost.shape[-1], dtype=torch.float64)
    iterations = 0
    while True:
        iterations += 1
        partition = kernel @ marginal.unsqueeze(-1)
        share = torch.where(p.unsqueeze(-1) > 0, p.unsqueeze(-1) / partition, 0.0)
        growth = (kernel.mT @ share).squeeze(-1)
        gap = slope * (torch.log(growth.amax(-1)) - weighted_log(marginal * growth, growth).sum(-1))
        used, marginal = marginal, marginal * growth
        if iterations >= limit or bool((gap <= tolerance).all()):
            break
    # An x that never occurs may have lost all its codes; its row is then free.
    free = kernel / kernel.sum(-1, keepdim=True)
    encoder = torch.where(partition > 0, kernel * used.unsqueeze(-2) / partition, free)
    joint = p.unsqueeze(-1) * encoder
    paid = joint * torch.where(joint > 0, cost, 0.0)
    return CurvePoints(mutual_information(joint), paid.sum((-2, -1)), encoder, marginal, gap, iterations)


def fixed_decoder_curve(
    data: Tensor, decoder: Tensor, beta: float | Tensor, *, tolerance: float = 1e-12, limit: int = 10_000
) -> CurvePoints:
    """The best rate and distortion that any encoder and marginal reach with the given decoder d(x|z), (Z, X).

    The distortion is -log d(x|z) in nats, so that D + R >= H, with equality at slope 1 where the decoder suits the data.
    """
    costs = -torch.log(probabilities("decoder", decoder)).mT
    return rate_distortion(data, costs, beta, tolerance=tolerance, limit=limit)


def channel_capacity(channel: Tensor, *, tolerance: float = 1e-12, limit: int = 10_000) -> Capacity:
    """The capacity max_{r(z)} I(Z; X) of a channel P(x|z) with rows z: (Z, X), nats.

    Raises :class:`~ratelab.core.errors.UserError` unless ``channel`` is a matrix whose rows are probabilities.

    >>> noiseless = channel_capacity(torch.eye(4))
    >>> round(noiseless.value.item(), 6)   # log 4
    1.386294
    """
    table = probabilities("channel", channel)
    if table.ndim != 2:
        raise UserError(f"channel: expected a matrix (Z, X), got shape {tuple(table.shape)}")
    source = torch.full((len(table),), 1.0 / len(table), dtype=torch.float64)
    iterations = 0
    while True:
        iterations += 1
        divergence = kl(table, source @ table)
        highest = divergence.max()
        # Relative to the highest, so that nothing overflows.
        reached = source * torch.exp(divergence - highest)
        value = highest + torch.log(reached.sum())
        source = reached / reached.sum()
        if iterations >= limit or bool(highest - value <= tolerance):
            return Capacity(value, source, highest - value, iterations)


def _checked(data: Tensor, distortion: Tensor, beta: float | Tensor) -> tuple[Tensor, Tensor, Tensor]:
    p, cost = probabilities("data", data), torch.as_tensor(distortion, dtype=torch.float64)
    slope = torch.as_tensor(beta, dtype=torch.float64)
    if p.ndim != 1 or cost.ndim != 2 or len(cost) != len(p):
        raise UserError(f"distortion: expected (X, Z) with X = {p.shape[-1]} rows, got shape {tuple(cost.shape)}")
    if not bool((slope > 0).all()):
        raise UserError(f"beta: must be greater than 0, got {beta}")
    if not bool(torch.isfinite(cost.amin(-1)).all()):
        raise UserError("distortion: every row x needs at least one finite entry, and no entry may be NaN or -inf")
    return p, cost, slope

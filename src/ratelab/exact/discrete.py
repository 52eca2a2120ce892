"""Entropy and divergence of finite distributions, in nats, with 0 log 0 = 0 and an infinite KL where support is missing."""

import torch
from torch import Tensor

from ratelab.core.errors import UserError

# Tables computed in float32 pass; anything further from 1 is a mistake.
_TOLERANCE = 1e-5


def weighted_log(weight: Tensor, value: Tensor) -> Tensor:
    """``weight * log(value)`` elementwise in nats, and 0 wherever ``weight`` is 0, whatever ``value`` is there.

    Unlike :func:`torch.xlogy` its gradients stay finite at a weight of 0, also with a value of 0.

    >>> weighted_log(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0]))
    tensor([0., 0.])
    """
    used = weight > 0
    return torch.where(used, weight * torch.log(torch.where(used, value, 1.0)), 0.0)


def entropy(p: Tensor) -> Tensor:
    """Entropy -sum p log p over the last axis: (..., X) -> (...), nats."""
    return -weighted_log(p, p).sum(-1)


def kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) over the last axis: (..., X), (..., X) -> (...), nats; ``inf`` where q lacks a value that p has.

    >>> half = torch.tensor([0.5, 0.5])
    >>> kl(half, torch.tensor([1.0, 0.0])).item(), kl(torch.tensor([1.0, 0.0]), half).item()
    (inf, 0.6931471824645996)
    """
    return (weighted_log(p, p) - weighted_log(p, q)).sum(-1)


def mutual_information(joint: Tensor) -> Tensor:
    """Mutual information of a joint table p(x, z): (..., X, Z) -> (...), nats."""
    marginals = joint.sum(-1, keepdim=True), joint.sum(-2, keepdim=True)
    # Logarithms apart: the product of two tiny probabilities would underflow and make the result infinite.
    ratio = weighted_log(joint, joint) - weighted_log(joint, marginals[0]) - weighted_log(joint, marginals[1])
    return ratio.sum((-2, -1))


def probabilities(name: str, values: Tensor) -> Tensor:
    """``values`` as float64, after checking that they are >= 0 and sum to 1 over the last axis.

    Raises :class:`~ratelab.core.errors.UserError` naming the table and what is wrong with it.
    """
    table = values.to(torch.float64)
    if table.ndim == 0 or table.shape[-1] == 0:
        raise UserError(f"{name}: expected a table of probabilities, got shape {tuple(table.shape)}")
    if not bool((table.detach() >= 0).all()):
        raise UserError(f"{name}: probabilities must be numbers >= 0; the smallest is {table.detach().min().item():.6g}")
    furthest = (table.detach().sum(-1) - 1).abs().max().item()
    if not furthest <= _TOLERANCE:
        raise UserError(f"{name}: probabilities must sum to 1 over the last axis; one sum is off by {furthest:.3g}")
    return table

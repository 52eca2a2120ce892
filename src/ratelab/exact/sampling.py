"""What a finite sample looks like beside the law it comes from: the over-fitting target of Alemi et al. 2018, App. C.1.

With a density q(x), U - S = H - D <= I_e, where S = KL(p\\*(x) || q(x)). On N training points the sample's p^ takes the place of p\\*, and
S = 0 would mean that q has learnt the sample by heart: the law itself is KL(p^ || p\\*) away from it, about H - log N.
"""

import math

import torch
from torch import Tensor

from ratelab.core.errors import UserError
from ratelab.exact.discrete import kl, probabilities


def empirical(states: Tensor, count: int) -> Tensor:
    """p^(x) of draws: (N,) indices of ``count`` states -> (count,) shares. :class:`UserError` for no draws, or one of no state."""
    if states.numel() == 0 or bool(((states < 0) | (states >= count)).any()):
        raise UserError(f"draws: expected at least one, all between 0 and {count - 1}")
    return torch.bincount(states, minlength=count).to(torch.float64) / len(states)


def sample_divergence(states: Tensor, law: Tensor) -> Tensor:
    """KL(p^ || p\\*) of draws (N,) from ``law`` (X,), nats; about :func:`overfitting_target` for N distinct draws.

    >>> uniform = torch.full((8,), 1 / 8)
    >>> round(sample_divergence(torch.tensor([0, 3]), uniform).item(), 6)   # log 8 - log 2
    1.386294
    """
    truth = probabilities("law", law)
    return kl(empirical(states, len(truth)), truth)


def overfitting_target(entropy: float, examples: int) -> float:
    """H - log N, nats: what S of a sample of N distinct points is to be brought to, and not below.

    >>> round(overfitting_target(80.2, 50_000), 1)   # MNIST
    69.4
    """
    if examples < 1:
        raise UserError(f"examples: {examples} is too few; give at least 1")
    return entropy - math.log(examples)

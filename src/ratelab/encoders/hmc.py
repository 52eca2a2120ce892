"""Hamiltonian Monte Carlo: draws from a posterior that is known up to a constant (Neal 2011; K19, eq. A.11-A.14)."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ratelab.core.batch import Noise
from ratelab.encoders.leapfrog import leapfrog

JITTER = (
    0.2  # a trajectory's step is off by up to this share: one of fixed length may close on itself where orbits are periodic
)


class Transition(NamedTuple):
    """Where the chains stand, (\\*lead, d), and the probability with which each proposal was taken, (\\*lead,)."""

    z: Tensor
    acceptance: Tensor


def hmc(z: Tensor, log_density: Callable[[Tensor], Tensor], step: Tensor, leapfrogs: int, noise: Noise) -> Transition:
    """One transition of every chain; it leaves the law with ``log_density`` (\\*lead, d) -> (\\*lead,), nats, as it is.

    A momentum v ~ N(0, I) is drawn, (z, v) moved by ``leapfrogs`` steps of about ``step`` (0-d, or (\\*lead, 1)), and the end taken with
    probability min(1, exp(-dH)), H = -log density + |v|^2 / 2. No gradient flows through a transition.
    """
    with torch.no_grad():
        drawn = noise.normal(z.shape)
        step = step * (1 + JITTER * (2 * noise.uniform((*z.shape[:-1], 1)) - 1))
        moved, v = leapfrog(z, drawn, torch.func.grad(lambda at: log_density(at).sum()), step, leapfrogs)
        gain = log_density(moved) - log_density(z) + 0.5 * (drawn.square() - v.square()).sum(-1)
        acceptance = gain.nan_to_num(nan=-torch.inf).clamp(max=0).exp()
        taken = noise.uniform(acceptance.shape) < acceptance
        return Transition(torch.where(taken.unsqueeze(-1), moved, z), acceptance)

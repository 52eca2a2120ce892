"""Hamiltonian Monte Carlo on a path of unnormalised laws (Neal 2011; Kingma and Welling 2019, section 2.7: leapfrog, accept or reject).

A path leads from a law that can be drawn from and scored to an unnormalised one, log f_b = (1 - b) log f_0 + b log f_1. One
transition leaves f_b invariant whatever the step size, which therefore may depend on the example but not on the chain's past.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

from ratelab.core.batch import Noise

JITTER = (
    0.4  # each trajectory's step is off by up to this share: a Gaussian's orbits are periods, which a fixed length may close
)


class Path(ABC):
    """Laws over flattened latents (n,), one pair for each of B examples."""

    @abstractmethod
    def draw(self, noise: Noise, chains: int) -> Tensor:
        """(K, B, n) draws of f_0."""

    @abstractmethod
    def scores(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """log f_0 (normalised) and log f_1 of z (K, B, n): (K, B) each, nats."""

    @abstractmethod
    def scale(self, b: float) -> Tensor:
        """(B, n): about how wide f_b is along each latent; steps are taken in units of it."""

    @abstractmethod
    def rows(self, index: Tensor) -> "Path":
        """The path of some of the examples."""


class State(NamedTuple):
    """Where the chains are: ``z`` (K, B, n), with log f_0 and log f_1 there (K, B)."""

    z: Tensor
    start: Tensor
    end: Tensor

    @classmethod
    def at(cls, path: Path, z: Tensor) -> "State":
        """The state at ``z``."""
        return cls(z, *(score.detach() for score in path.scores(z)))

    @property
    def log_ratio(self) -> Tensor:
        """log f_1 - log f_0, (K, B): the slope of log f_b in b."""
        return self.end - self.start


def pulled(path: Path, z: Tensor, b: float) -> tuple[State, Tensor]:
    """The state at ``z`` and the gradient of log f_b there, (K, B, n)."""
    with torch.enable_grad():
        leaf = z.detach().requires_grad_()
        start, end = path.scores(leaf)
        (gradient,) = torch.autograd.grad(((1 - b) * start + b * end).sum(), leaf)
    return State(leaf.detach(), start.detach(), end.detach()), gradient


def transition(path: Path, state: State, b: float, step: float, leapfrogs: int, noise: Noise) -> tuple[State, Tensor]:
    """One transition of every chain that leaves f_b invariant, and the probabilities with which it was accepted, (K, B)."""
    jitter = 1 + JITTER * (2 * noise.uniform((*state.z.shape[:-1], 1)) - 1)
    width = step * jitter * path.scale(b)
    momentum = noise.normal(state.z.shape)
    _, gradient = pulled(path, state.z, b)
    before = energy(state, momentum, b)
    z, v, moved = state.z, momentum + 0.5 * width * gradient, state
    for left in range(leapfrogs, 0, -1):
        z = z + width * v
        moved, gradient = pulled(path, z, b)
        v = v + (width if left > 1 else 0.5 * width) * gradient
    log_accept = torch.nan_to_num(before - energy(moved, v, b), nan=-torch.inf)
    accepted = noise.uniform(log_accept.shape).log() < log_accept
    kept = State(
        torch.where(accepted.unsqueeze(-1), moved.z, state.z),
        torch.where(accepted, moved.start, state.start),
        torch.where(accepted, moved.end, state.end),
    )
    return kept, log_accept.clamp(max=0).exp()


def energy(state: State, momentum: Tensor, b: float) -> Tensor:
    """-log f_b + half the squared momentum, (K, B)."""
    return 0.5 * momentum.square().sum(-1) - (1 - b) * state.start - b * state.end

"""Householder flows: reflections, which rotate a diagonal Gaussian into a correlated one (Tomczak and Welling 2016)."""

import torch
from torch import Tensor

from ratelab.distributions.flows.step import Dial, Moved, Step


def reflect(z: Tensor, v: Tensor) -> Tensor:
    """z - 2 v (v.z) / |v|^2 for z (\\*lead, d) and v broadcasting against it."""
    return z - 2 * v * (v * z).sum(-1, keepdim=True) / v.square().sum(-1, keepdim=True)


class Householder(Step):
    """Householder: f(z) = (I - 2 v v^T / |v|^2) z; |det| = 1 and it is its own inverse."""

    def __init__(self, size: int, context: int = 0) -> None:
        super().__init__()
        self.dial = Dial(torch.randn(size), context)

    def forward(self, z: Tensor, context: Tensor | None = None) -> Moved:
        moved = reflect(z, self.dial(context))
        return Moved(moved, moved.new_zeros(moved.shape[:-1]))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Moved:
        return self(z, context)

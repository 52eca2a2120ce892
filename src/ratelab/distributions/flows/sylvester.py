"""Sylvester flows: z + Q R tanh(R' Q^T z + b), planar flows with many directions (van den Berg et al. 2018, Householder variant)."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ratelab.distributions.flows.householder import reflect
from ratelab.distributions.flows.root import tanh_root
from ratelab.distributions.flows.step import Dial, Moved, Step


class Sylvester(Step):
    """Sylvester: Q orthogonal (a product of ``reflections``), R and R' upper triangular; det = prod_i (1 + tanh'_i R_ii R'_ii).

    Invertible because the diagonals lie in (-1, 1), so R_ii R'_ii > -1. Starts near the identity.
    """

    parallel_inverse = False

    def __init__(self, size: int, context: int = 0, *, reflections: Annotated[int, Field(ge=1)] = 4) -> None:
        super().__init__()
        self.size, self.reflections = size, reflections
        start = [0.1 * torch.randn(2 * size * size), torch.zeros(size), torch.randn(reflections * size)]
        self.dial = Dial(torch.cat(start), context)

    def _parameters_at(self, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        d = self.size
        square, b, v = self.dial(context).split([2 * d * d, d, self.reflections * d], -1)
        first, second = square.unflatten(-1, (2, d, d)).unbind(-3)
        return self._triangular(first), self._triangular(second), b, v.unflatten(-1, (self.reflections, d))

    @staticmethod
    def _triangular(square: Tensor) -> Tensor:
        return square.triu(1) + torch.diag_embed(torch.tanh(square.diagonal(dim1=-2, dim2=-1)))

    @staticmethod
    def _rotate(z: Tensor, v: Tensor, *, back: bool = False) -> Tensor:
        """Q z, or Q^T z with ``back``."""
        for one in v.unbind(-2) if back else reversed(v.unbind(-2)):
            z = reflect(z, one)
        return z

    def forward(self, z: Tensor, context: Tensor | None = None) -> Moved:
        r, inner, b, v = self._parameters_at(context)
        bend = torch.tanh((inner @ self._rotate(z, v, back=True).unsqueeze(-1)).squeeze(-1) + b)
        slope = (1 - bend.square()) * r.diagonal(dim1=-2, dim2=-1) * inner.diagonal(dim1=-2, dim2=-1)
        return Moved(z + self._rotate((r @ bend.unsqueeze(-1)).squeeze(-1), v), torch.log1p(slope).sum(-1))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Moved:
        """In the rotated coordinates the system is triangular: one scalar equation after another, the last first."""
        r, inner, b, v = self._parameters_at(context)
        after = self._rotate(z, v, back=True)
        before = after[..., :0]
        bends = after[..., :0]
        for i in reversed(range(self.size)):
            reach = (inner[..., i, i + 1 :] * before).sum(-1) + b[..., i]
            target = after[..., i] - (r[..., i, i + 1 :] * bends).sum(-1)
            t = tanh_root(target, r[..., i, i], inner[..., i, i], reach)
            before = torch.cat([t.unsqueeze(-1), before], -1)
            bends = torch.cat([torch.tanh(inner[..., i, i] * t + reach).unsqueeze(-1), bends], -1)
        source = self._rotate(before, v)
        return Moved(source, -self(source, context).log_det)

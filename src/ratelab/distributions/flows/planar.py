"""Planar flows: z + u tanh(w.z + b), which bend space along one direction (Rezende and Mohamed 2015, eq. 10-12; K19, eq. 3.17)."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ratelab.distributions.flows.root import tanh_root
from ratelab.distributions.flows.step import Dial, Moved, Step

IDENTITY = math.log(math.e - 1)  # softplus of it is 1, so that the constrained u starts at zero
EDGE = 1e-6


class Planar(Step):
    """Planar: f(z) = z + u tanh(w.z + b), det = 1 + u.psi with psi = (1 - tanh^2) w. Starts at the identity.

    Invertible because u is moved along w until w.u = -1 + softplus(w.raw u) > -1.
    """

    def __init__(self, size: int, context: int = 0) -> None:
        super().__init__()
        w = torch.randn(size)
        u = IDENTITY * w / w.square().sum()
        self.size = size
        self.dial = Dial(torch.cat([u, w, torch.zeros(1)]), context)

    def _parameters_at(self, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """u, w, b and w.u, which is kept off -1 by more than rounding."""
        raw, w, b = self.dial(context).split([self.size, self.size, 1], -1)
        along = (w * raw).sum(-1, keepdim=True)
        kept = (F.softplus(along) - 1).clamp(min=EDGE - 1)
        return raw + (kept - along) * w / w.square().sum(-1, keepdim=True), w, b, kept

    def forward(self, z: Tensor, context: Tensor | None = None) -> Moved:
        u, w, b, along = self._parameters_at(context)
        bend = torch.tanh((w * z).sum(-1, keepdim=True) + b)
        return Moved(z + u * bend, torch.log1p((1 - bend.square()) * along).squeeze(-1))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Moved:
        u, w, b, along = self._parameters_at(context)
        across = tanh_root((w * z).sum(-1, keepdim=True), along, torch.ones_like(b), b)
        before = z - u * torch.tanh(across + b)
        return Moved(before, -self(before, context).log_det)

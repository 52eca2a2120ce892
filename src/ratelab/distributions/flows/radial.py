"""Radial flows: z + beta (z - z0) / (alpha + r), which contract or expand around one point (Rezende and Mohamed 2015, eq. 13-14)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from ratelab.distributions.flows.planar import IDENTITY
from ratelab.distributions.flows.step import Dial, Moved, Step


class Radial(Step):
    """Radial: f(z) = z + beta h (z - z0), h = 1/(alpha + |z - z0|), alpha > 0, beta = -alpha + softplus(raw) > -alpha.

    det = (1 + beta h)^(d-1) (1 + beta h + beta h' r), h' = -1/(alpha + r)^2. Starts at the identity.
    """

    def __init__(self, size: int, context: int = 0) -> None:
        super().__init__()
        self.size = size
        self.dial = Dial(torch.cat([0.1 * torch.randn(size), torch.tensor([IDENTITY, IDENTITY])]), context)

    def _parameters_at(self, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        centre, alpha, beta = self.dial(context).split([self.size, 1, 1], -1)
        alpha = F.softplus(alpha)
        return centre, alpha, F.softplus(beta) - alpha

    def forward(self, z: Tensor, context: Tensor | None = None) -> Moved:
        centre, alpha, beta = self._parameters_at(context)
        away = z - centre
        r = torch.linalg.vector_norm(away, dim=-1, keepdim=True)
        h = 1 / (alpha + r)
        # 1 + beta h + beta h' r simplifies to 1 + alpha beta h^2, which stays positive in floating point.
        log_det = (self.size - 1) * torch.log1p(beta * h) + torch.log1p(alpha * beta * h.square())
        return Moved(z + beta * h * away, log_det.squeeze(-1))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Moved:
        """The radius before solves r (1 + beta / (alpha + r)) = radius after, a quadratic with one positive root."""
        centre, alpha, beta = self._parameters_at(context)
        away = z - centre
        after = torch.linalg.vector_norm(away, dim=-1, keepdim=True)
        half = 0.5 * (alpha + beta - after)
        r = (half.square() + alpha * after).sqrt() - half
        before = centre + away / (1 + beta / (alpha + r))
        return Moved(before, -self(before, context).log_det)

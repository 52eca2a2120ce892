"""Gaussians with a full covariance, by its Cholesky factor: z = mu + L e (Kingma and Welling 2019, section 2.5.1)."""

import torch
from torch import Tensor

from ratelab.core.batch import Noise
from ratelab.core.law import Abilities, Draw, Law, full_precision, without_autocast
from ratelab.distributions.gaussians import HALF_LOG_2PI, DiagonalGaussian, StandardNormal


class FullGaussian(Law):
    """N(loc, L L^T). ``loc``: (\\*batch, d); ``tril``: (\\*batch, d, d), lower triangular with a positive diagonal."""

    abilities = Abilities(closed_kl=True)

    def __init__(self, loc: Tensor, tril: Tensor) -> None:
        self.loc, self.tril = full_precision(loc), full_precision(tril)
        self.batch_shape, self.event_shape = tuple(loc.shape[:-1]), tuple(loc.shape[-1:])

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def log_diagonal(self) -> Tensor:
        """log L_ii, (\\*batch, d)."""
        return self.tril.diagonal(dim1=-2, dim2=-1).log()

    @without_autocast
    def draw(self, noise: Noise, samples: int | None = None) -> Draw:
        return Draw(self.loc + (self.tril @ noise.normal(self._shape(samples)).unsqueeze(-1)).squeeze(-1))

    def log_prob(self, value: Tensor) -> Tensor:
        white = self._whiten((value - self.loc).unsqueeze(-1)).squeeze(-1)
        return (-0.5 * white.square() - self.log_diagonal - HALF_LOG_2PI).sum(-1)

    def _whiten(self, columns: Tensor) -> Tensor:
        return torch.linalg.solve_triangular(self.tril, columns, upper=False)

    def kl(self, other: Law) -> Tensor | None:
        """1/2 [ tr(S2^-1 S1) + (m2-m1)^T S2^-1 (m2-m1) - d + log |S2|/|S1| ], row by row of L2^-1 L1; every row is >= 0."""
        if isinstance(other, StandardNormal):
            spread, shift, log_ratio = self.tril, self.loc, self.log_diagonal
        elif isinstance(other, DiagonalGaussian):
            spread = self.tril / other.scale.unsqueeze(-1)
            shift, log_ratio = (self.loc - other.loc) / other.scale, self.log_diagonal - other.log_scale
        elif isinstance(other, FullGaussian):
            spread = other._whiten(self.tril)
            shift = other._whiten((self.loc - other.loc).unsqueeze(-1)).squeeze(-1)
            log_ratio = self.log_diagonal - other.log_diagonal
        else:
            return None
        return 0.5 * (spread.square().sum(-1) + shift.square() - 1) - log_ratio

    def detached(self) -> "FullGaussian":
        return FullGaussian(self.loc.detach(), self.tril.detach())

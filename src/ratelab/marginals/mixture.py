"""A learned mixture of diagonal Gaussians, m(z) = sum_i w_i N(z; mu_i, diag sigma_i^2)."""

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from ratelab.core.dataset import Dataset
from ratelab.core.law import Law
from ratelab.distributions.gaussians import DiagonalGaussian
from ratelab.distributions.mixtures import GaussianMixture
from ratelab.marginals.marginal import Encode, Marginal
from ratelab.networks.layers import size_of


class MixtureMarginal(Marginal):
    """``components`` Gaussians with learned weights; starts with unit spreads and means drawn from N(0, I)."""

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        dataset: Dataset | None = None,
        *,
        components: Annotated[int, Field(ge=1)] = 10,
    ) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(components))
        self.loc = nn.Parameter(torch.randn(components, size_of(latent_shape)))
        self.log_scale = nn.Parameter(torch.zeros(components, size_of(latent_shape)))

    def forward(self, encode: Encode | None = None, beside: Law | None = None) -> GaussianMixture:
        return GaussianMixture(self.logits, DiagonalGaussian(self.loc, log_scale=self.log_scale))

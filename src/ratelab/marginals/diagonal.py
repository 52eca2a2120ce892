"""The learned diagonal Gaussian marginal m(z) = N(mu, diag sigma^2) (Kingma and Welling 2019, section 4.4)."""

import torch
from torch import nn

from ratelab.core.dataset import Dataset
from ratelab.core.law import Law
from ratelab.distributions.gaussians import DiagonalGaussian
from ratelab.marginals.marginal import Encode, Marginal


class DiagonalMarginal(Marginal):
    """N(mu, diag sigma^2) with learned mu and log sigma; starts at N(0, I)."""

    def __init__(self, latent_shape: tuple[int, ...], dataset: Dataset | None = None) -> None:
        super().__init__()
        self.loc = nn.Parameter(torch.zeros(latent_shape))
        self.log_scale = nn.Parameter(torch.zeros(latent_shape))

    def forward(self, encode: Encode | None = None, beside: Law | None = None) -> DiagonalGaussian:
        return DiagonalGaussian(self.loc, log_scale=self.log_scale, event_axes=self.loc.ndim)

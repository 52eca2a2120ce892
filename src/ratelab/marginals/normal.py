"""The standard normal marginal m(z) = N(0, I), fixed."""

import torch

from ratelab.core.dataset import Dataset
from ratelab.core.law import Law
from ratelab.distributions.gaussians import StandardNormal
from ratelab.marginals.marginal import Encode, Marginal


class NormalMarginal(Marginal):
    """N(0, I) over one layer's latents; no parameters."""

    zero: torch.Tensor

    def __init__(self, latent_shape: tuple[int, ...], dataset: Dataset | None = None) -> None:
        super().__init__()
        self.latent_shape = latent_shape
        self.register_buffer("zero", torch.zeros(()), persistent=False)

    def forward(self, encode: Encode | None = None, beside: Law | None = None) -> StandardNormal:
        return StandardNormal(self.latent_shape, self.zero)

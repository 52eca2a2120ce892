"""The marginal of a lower layer given the layers above, m(z_l | z_>l): a diagonal Gaussian (Xiao and Bamler 2023, eq. 1)."""

import torch
from torch import Tensor, nn

from ratelab.distributions.gaussians import DiagonalGaussian
from ratelab.distributions.heads import GaussianHead, Spread
from ratelab.networks.layers import Activation, dense_stack, flat
from ratelab.networks.mlp import Widths


class ConditionalGaussian(nn.Module):
    """Fully connected from all latents above to a diagonal Gaussian over this layer's."""

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        above: int,
        *,
        hidden: Widths = (128,),
        activation: Activation = "relu",
        spread: Spread = "softplus",
    ) -> None:
        super().__init__()
        self.layers = dense_stack((above, *hidden), activation)
        self.head = GaussianHead((above, *hidden)[-1], latent_shape, spread)

    def forward(self, above: tuple[Tensor, ...]) -> DiagonalGaussian:
        """``above``: each (K, B, \\*event) -> a law over (K, B)."""
        return self.head(self.layers(torch.cat([flat(z, tuple(z.shape[2:])) for z in above], dim=-1)))

"""The Gaussian encoder with a full covariance, e(z|x) = N(mu(x), L(x) L(x)^T) (Kingma and Welling 2019, algorithm 2)."""

import torch
from torch import Tensor, nn

from ratelab.distributions.full_gaussian import FullGaussian
from ratelab.encoders.trunk import Network, Trunk
from ratelab.networks.layers import size_of
from ratelab.networks.mlp import Widths


class FullGaussianEncoder(Trunk):
    """Full-covariance Gaussian: heads for the mean, for log L_ii, and for the entries of L below the diagonal."""

    def __init__(
        self,
        event_shape: tuple[int, ...],
        latent_shape: tuple[int, ...],
        above: int = 0,
        module: nn.Module | None = None,
        *,
        network: Network = "mlp",
        rescale: bool = False,
        joint: Widths = (128,),
    ) -> None:
        super().__init__(event_shape, above, module, network, rescale, joint)
        self.size = size_of(latent_shape)
        self.out = nn.Linear(self.width, 2 * self.size + self.size**2)

    def forward(self, x: Tensor, above: tuple[Tensor, ...] = ()) -> FullGaussian:
        """e(z | x, above) over (B,) or (K, B)."""
        d = self.size
        loc, log_diagonal, square = self.out(self.features(x, above)).split([d, d, d * d], -1)
        return FullGaussian(loc, square.unflatten(-1, (d, d)).tril(-1) + torch.diag_embed(log_diagonal.exp()))

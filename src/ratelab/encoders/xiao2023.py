"""The encoder of the lower layer in Xiao and Bamler 2023: a map of Gaussian latents z_1 from x and the vector z_2 above it."""

from torch import Tensor, nn

from ratelab.distributions.gaussians import DiagonalGaussian
from ratelab.distributions.heads import MapHead
from ratelab.networks.xiao2023 import XiaoJoint


class XiaoLower(nn.Module):
    """q(z_1 | z_2, x): :class:`~ratelab.networks.xiao2023.XiaoJoint` and its 3x3 heads, with softplus standard deviations."""

    def __init__(self, event_shape: tuple[int, ...], latent_shape: tuple[int, ...], above: int, width: int) -> None:
        super().__init__()
        self.joint = XiaoJoint(event_shape, above, width)
        self.head = MapHead(width, latent_shape[0], "softplus")

    def forward(self, x: Tensor, above: tuple[Tensor, ...]) -> DiagonalGaussian:
        """x (B, C, H, H) and z_2 (K, B, d) -> a law over (K, B)."""
        return self.head(self.joint(x, *above))

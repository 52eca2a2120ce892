"""The encoder of the lower layer in Xiao and Bamler 2023: Gaussian latents z_1, a map or a vector, from x and the vector z_2 above."""

from torch import Tensor, nn

from ratelab.distributions.gaussians import DiagonalGaussian
from ratelab.distributions.heads import GaussianHead, MapHead, Spread
from ratelab.networks.xiao2023 import XiaoJoint


class XiaoLower(nn.Module):
    """q(z_1 | z_2, x): :class:`~ratelab.networks.xiao2023.XiaoJoint` and its heads, with softplus standard deviations."""

    def __init__(self, event_shape: tuple[int, ...], latent_shape: tuple[int, ...], above: int, width: int) -> None:
        super().__init__()
        self.joint = XiaoJoint(event_shape, above, width)
        self.head = lower_head(latent_shape, width, self.joint.side, "softplus")

    def forward(self, x: Tensor, above: tuple[Tensor, ...]) -> DiagonalGaussian:
        """x (B, C, H, H) and z_2 (K, B, d) -> a law over (K, B)."""
        law: DiagonalGaussian = self.head(self.joint(x, *above))
        return law


def lower_head(latent_shape: tuple[int, ...], width: int, side: int, spread: Spread) -> nn.Module:
    """From maps of ``width`` channels to the law of z_1: 3x3 convolutions where it is a map too, dense layers where it is a vector."""
    if len(latent_shape) == 3:
        return MapHead(width, latent_shape[0], spread)
    return nn.Sequential(nn.Flatten(-3), GaussianHead(width * side**2, latent_shape, spread))

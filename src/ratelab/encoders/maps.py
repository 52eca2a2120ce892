"""Encoders of maps of latents in a convolutional hierarchy (a variant of Xiao and Bamler 2023's public code)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ratelab.distributions.gaussians import DiagonalGaussian
from ratelab.distributions.heads import MapHead
from ratelab.networks.maps import Climb, Descent, Side, mixed


class MapEncoder(nn.Module):
    """q(z_l | z_>l, x): x on its way up, the latents above on their way down, and a 5x5 convolution that mixes both.

    ``image``: channels of x; ``halvings``: how often x is halved to reach the layer's sides; ``above`` and ``way``:
    :class:`~ratelab.networks.maps.Descent`'s channels and sides; ``channels``: the layer's own. Standard deviations are softplus.
    """

    def __init__(self, image: int, halvings: int, above: Sequence[int], way: Sequence[Side], channels: int, width: int) -> None:
        super().__init__()
        self.climb = Climb(image, width, halvings)
        self.descent = Descent(above, way, width) if above else None
        self.mix = mixed(2 * width, width) if above else nn.Identity()
        self.head = MapHead(width, channels, "softplus")

    def forward(self, x: Tensor, above: tuple[Tensor, ...] = ()) -> DiagonalGaussian:
        """x (B, C, H, W), each of ``above`` (K, B, c, h, w) -> a law over (B,), or (K, B) where there is any above."""
        seen = self.climb(x)
        if self.descent is None:
            return self.head(seen)
        come = self.descent(above)
        both = torch.cat([come, seen.expand(*come.shape[:-3], *seen.shape[-3:])], -3)
        joint = self.mix(both.flatten(0, -4)).unflatten(0, both.shape[:-3])
        return self.head(joint)

"""The marginal of a map of latents given those above, in a convolutional hierarchy (a variant of Xiao and Bamler 2023's public code)."""

from collections.abc import Sequence

from torch import Tensor, nn

from ratelab.distributions.gaussians import DiagonalGaussian
from ratelab.distributions.heads import MapHead
from ratelab.networks.layers import over_images
from ratelab.networks.maps import Descent, Side, mixed


class MapConditional(nn.Module):
    """p(z_l | z_>l): the latents above on their way down, a 5x5 convolution, and 3x3 heads with softplus standard deviations."""

    def __init__(self, above: Sequence[int], way: Sequence[Side], channels: int, width: int) -> None:
        super().__init__()
        self.descent, self.mix = Descent(above, way, width), mixed(width, width)
        self.head = MapHead(width, channels, "softplus")

    def forward(self, above: tuple[Tensor, ...]) -> DiagonalGaussian:
        """Each of ``above`` (K, B, c, h, w) -> a law over (K, B)."""
        return self.head(over_images(self.mix, self.descent(above), 3))

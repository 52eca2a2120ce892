"""From features to a diagonal Gaussian: the heads that encoders and conditional marginals share.

Five ways of writing the spread are in use in the papers and all are offered: ``exp`` (the head is log sigma: Kingma and
Welling), ``exp-half`` (log sigma^2), ``clipped`` (log sigma^2, kept in [-6, 2]: the VampPrior's code), ``softplus`` (standard
deviation: Xiao and Bamler) and ``softplus-variance`` (Alemi et al.'s App. F calls its softplus output the variance).
"""

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from ratelab.core.law import full_precision
from ratelab.distributions.gaussians import DiagonalGaussian
from ratelab.networks.layers import over_images, size_of

Spread = Literal["exp", "exp-half", "clipped", "softplus", "softplus-variance"]

FLOOR = 1e-8
"""Added to a softplus, which is exactly 0 below -104 in float32: a spread of 0 has no logarithm, and a mixture no precision for it.
Weights of a few small numbers get there within ten steps at a high learning rate."""

SPREADS: dict[str, Callable[[Tensor, Tensor, int], DiagonalGaussian]] = {
    "exp": lambda loc, raw, axes: DiagonalGaussian(loc, log_scale=raw, event_axes=axes),
    "exp-half": lambda loc, raw, axes: DiagonalGaussian(loc, log_scale=0.5 * raw, event_axes=axes),
    "clipped": lambda loc, raw, axes: DiagonalGaussian(loc, log_scale=0.5 * F.hardtanh(raw, -6.0, 2.0), event_axes=axes),
    "softplus": lambda loc, raw, axes: DiagonalGaussian(loc, scale=F.softplus(raw) + FLOOR, event_axes=axes),
    "softplus-variance": lambda loc, raw, axes: DiagonalGaussian(loc, scale=(F.softplus(raw) + FLOOR).sqrt(), event_axes=axes),
}


class GaussianHead(nn.Module):
    """Features to a diagonal Gaussian over ``shape``: one linear layer for the mean, one for the spread."""

    def __init__(self, features: int, shape: tuple[int, ...], spread: Spread) -> None:
        super().__init__()
        self.shape, self.spread = shape, spread
        self.out = nn.Linear(features, 2 * size_of(shape))

    def forward(self, features: Tensor) -> DiagonalGaussian:
        loc, raw = full_precision(self.out(features)).chunk(2, -1)
        if len(self.shape) > 1:
            loc, raw = loc.unflatten(-1, self.shape), raw.unflatten(-1, self.shape)
        return SPREADS[self.spread](loc, raw, len(self.shape))


class MapHead(nn.Module):
    """Feature maps to a diagonal Gaussian over maps: 3x3 convolutions, one for the mean, one for the spread, as one of both."""

    def __init__(self, features: int, channels: int, spread: Spread) -> None:
        super().__init__()
        self.spread = spread
        self.out = nn.Conv2d(features, 2 * channels, 3, padding=1)

    def forward(self, maps: Tensor) -> DiagonalGaussian:
        """(\\*lead, features, H, W) -> a law over (\\*lead,)."""
        loc, raw = over_images(self.out, maps, 3).chunk(2, -3)
        return SPREADS[self.spread](loc, raw, 3)

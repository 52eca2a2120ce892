"""Masked convolutions: an autoregressive network over image-shaped values, channels included.

Kingma et al. 2016 use such networks for flows over feature maps, van den Oord et al. 2016 for images.
The order is raster over pixels and, within a pixel, channel after channel. As in MADE every feature carries a degree, here for the
centre of the kernel only: input channel c (from 0) has degree c, and features of degree d see the centre's channels before d.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ratelab.core.errors import UserError


def raster_mask(kernel: int, inputs: Tensor, outputs: Tensor, strict: bool) -> Tensor:
    """(outputs, inputs, kernel, kernel): all taps before the centre in raster order, none after it, and at the centre those from a
    lower degree, or also from an equal one unless ``strict``."""
    middle = kernel // 2
    mask = torch.zeros(len(outputs), len(inputs), kernel, kernel)
    mask[:, :, :middle] = 1
    mask[:, :, middle, :middle] = 1
    lower = inputs < outputs[:, None] if strict else inputs <= outputs[:, None]
    mask[:, :, middle, middle] = lower.to(mask.dtype)
    return mask


class MaskedConv(nn.Conv2d):
    """A convolution of the image's size whose weights are multiplied by :func:`raster_mask`."""

    mask: Tensor

    def __init__(self, inputs: Tensor, outputs: Tensor, kernel: int, *, strict: bool) -> None:
        super().__init__(len(inputs), len(outputs), kernel, padding=kernel // 2)
        self.register_buffer("mask", raster_mask(kernel, inputs, outputs, strict), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class ConvAutoregressive(nn.Module):
    """From (N, C, H, W) to ``outputs`` numbers for every value, (N, outputs, C, H, W), each a function of the values before its own.

    ``context``: channels of an unmasked map (N, context, H, W) added to the first features. ``scale`` multiplies the outputs
    (Kingma et al. 2016 start near the identity with 0.1). Raises :class:`UserError` for an even kernel.
    """

    def __init__(
        self,
        channels: int,
        outputs: int = 2,
        context: int = 0,
        *,
        features: int = 64,
        layers: int = 2,
        kernel: int = 3,
        scale: float = 0.1,
    ) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise UserError(f"masked convolutions need an odd kernel, not {kernel}")
        self.outputs, self.scale = outputs, scale
        values, hidden = torch.arange(channels), torch.arange(features) % channels
        self.enter = MaskedConv(values, hidden, kernel, strict=True)
        self.hidden = nn.ModuleList(MaskedConv(hidden, hidden, kernel, strict=False) for _ in range(layers - 1))
        self.out = MaskedConv(hidden, values.repeat(outputs), kernel, strict=False)
        self.context = nn.Conv2d(context, features, 1, bias=False) if context else None

    def forward(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        h = self.enter(z)
        if self.context is not None and context is not None:
            h = h + self.context(context)
        h = F.elu(h)
        for layer in self.hidden:
            h = F.elu(layer(h))
        return self.scale * self.out(h).unflatten(1, (self.outputs, -1))

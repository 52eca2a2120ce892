"""The convolutional networks of Xiao and Bamler 2023 (appendix tables; public code ``timxzz/HIT``), layer by layer.

All convolutions are 4x4 with biases and ReLU behind them, nothing is normalised. Two of stride 2 and a *middle* one take the image's
side to that of the map of z_1: 32 -> 16 -> 8 -> 4 with a middle layer of stride 2, 28 -> 14 -> 7 -> 4 with one of stride 1 and no
padding. Other sides that are multiples of 4 go either way: 64 -> 8, 8 -> 1, 20 -> 2.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ratelab.core.errors import UserError
from ratelab.networks.layers import over_images
from ratelab.networks.transposed import Deconv

Width = Annotated[int, Field(ge=1)]


def plan(shape: tuple[int, ...]) -> tuple[int, int, tuple[int, int]]:
    """(C, side of the map of z_1, stride and padding of the middle layer); :class:`UserError` for shapes that do not fit.

    >>> plan((3, 32, 32)), plan((1, 28, 28))
    ((3, 4, (2, 1)), (1, 4, (1, 0)))
    """
    side = shape[-1] if len(shape) == 3 and shape[1] == shape[2] else 0
    if side % 4 or side < 8 or (side % 8 and side < 20):
        raise UserError(
            f"network 'xiao2023' takes square images (C, H, H) with H a multiple of 8, or of 4 from 20 on, not data of shape {shape};"
            " use 'conv' and 'deconv', or 'mlp'"
        )
    return (shape[0], side // 8, (2, 1)) if side % 8 == 0 else (shape[0], side // 4 - 3, (1, 0))


def convolved(inputs: int, outputs: int, stride: int, padding: int) -> nn.Sequential:
    """A 4x4 convolution and its ReLU."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 4, stride, padding), nn.ReLU())


def deconvolved(inputs: int, outputs: int, stride: int, padding: int) -> nn.Sequential:
    """A 4x4 transposed convolution and its ReLU."""
    return nn.Sequential(Deconv(inputs, outputs, 4, stride, padding), nn.ReLU())


def quartered(channels: int, width: int) -> nn.Sequential:
    """The two convolutions of stride 2 that every path from x begins with."""
    return nn.Sequential(convolved(channels, width, 2, 1), convolved(width, width, 2, 1))


class XiaoFeatures(nn.Module):
    """The convolutions of q(z_2|x): (\\*lead, C, H, H) -> (\\*lead, features). ``width``: channels, 16 (MNIST) or 32 (colour)."""

    def __init__(self, event_shape: tuple[int, ...], *, width: Width = 16) -> None:
        super().__init__()
        channels, side, middle = plan(event_shape)
        self.features = width * side**2
        self.quarter, self.middle = quartered(channels, width), convolved(width, width, *middle)

    def forward(self, x: Tensor) -> Tensor:
        return over_images(lambda images: self.middle(self.quarter(images)).flatten(1), x, 3)


class XiaoRenderer(nn.Module):
    """p(x|z_1): from the map of z_1, transposed convolutions that end without a ReLU; ``width`` channels between.

    ``width``: as many as the map of z_1 has unless given. A vector of latents becomes a map through a dense layer first. ``head``:
    channels that the last transposed convolution makes in place of the output's, a 3x3 convolution behind it (128 for the
    mixture of logistics).
    """

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        *,
        width: Width | None = None,
        head: Width | None = None,
    ) -> None:
        super().__init__()
        channels, side, middle = plan(out_shape)
        self.axes = len(latent_shape)
        width = width or (latent_shape[0] if self.axes == 3 else 16)
        self.enter = entrance(latent_shape, width, side)
        last = Deconv(width, channels if head is None else head, 4, 2, 1)
        self.layers = nn.Sequential(
            deconvolved(latent_shape[0] if self.axes == 3 else width, width, *middle),
            deconvolved(width, width, 2, 1),
            last if head is None else nn.Sequential(last, nn.ReLU(), nn.Conv2d(head, channels, 3, 1, 1)),
        )

    def forward(self, z: Tensor) -> Tensor:
        return over_images(lambda maps: self.layers(self.enter(maps)), z, self.axes)


def entrance(latent_shape: tuple[int, ...], width: int, side: int) -> nn.Module:
    """What makes a map of ``side`` from latents: nothing where they are one, a dense layer where they are a vector."""
    if len(latent_shape) == 1:
        return nn.Sequential(nn.Linear(latent_shape[0], width * side**2), nn.Unflatten(-1, (width, side, side)))
    if len(latent_shape) != 3 or latent_shape[1:] != (side, side):
        raise UserError(
            f"network 'xiao2023' takes a vector of latents or a map of {side}x{side} for these images, not one of shape {latent_shape}"
        )
    return nn.Identity()


class XiaoJoint(nn.Module):
    """The paths of q(z_1|z_2, x) up to its heads: x and z_2, each as a map of a quarter of the side, mixed by the middle layer.

    Takes x (B, C, H, H) and z_2 (\\*lead, B, above), gives (\\*lead, B, width, side, side).
    """

    def __init__(self, event_shape: tuple[int, ...], above: int, width: int) -> None:
        super().__init__()
        channels, self.side, middle = plan(event_shape)
        self.quarter = quartered(channels, width)
        self.enter = entrance((above,), width, self.side)
        self.grow = deconvolved(width, width, *middle)
        self.mix = convolved(2 * width, width, *middle)

    def forward(self, x: Tensor, above: Tensor) -> Tensor:
        seen, lead = self.quarter(x), above.shape[:-1]
        told = over_images(lambda z: self.grow(self.enter(z)), above, 1)
        both = torch.cat([told, seen.expand(*lead, *seen.shape[1:])], -3)
        return over_images(self.mix, both, 3)

"""DCGAN networks: Arjovsky's pair for 64x64 and 32x32, and Rosca et al. 2018's for ColorMNIST (App. K).

The generators end in a plain convolution: a decoder's likelihood says what its numbers are (logits, means), and an adversarial
model squashes them itself. The features end before the discriminator's last convolution to one number.
"""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from ratelab.core.errors import UserError
from ratelab.networks.layers import over_images
from ratelab.networks.transposed import Deconv

Width = Annotated[int, Field(ge=1)]
Norm = Literal["batch", "none"]


def normed(layer: nn.Module, width: int, norm: Norm, activation: nn.Module) -> nn.Sequential:
    """A layer, its batch normalisation if it has one, and its activation."""
    return nn.Sequential(layer, *([nn.BatchNorm2d(width)] if norm == "batch" else []), activation)


def square_side(shape: tuple[int, ...], network: str, multiple: int) -> tuple[int, int]:
    """(C, side) of a square image whose side is a multiple of ``multiple``; :class:`UserError` for any other shape."""
    if len(shape) != 3 or shape[1] != shape[2] or shape[1] % multiple:
        raise UserError(
            f"network '{network}' takes square images (C, H, H) with H a multiple of {multiple}, not data of shape {shape};"
            " use 'conv' and 'deconv', or 'mlp'"
        )
    return shape[0], shape[1]


def doublings(shape: tuple[int, ...], network: str) -> tuple[int, int]:
    """(C, m) of a square image of side 4 * 2^m, m >= 1; :class:`UserError` for any other shape."""
    channels, side = square_side(shape, network, 4)
    m = (side // 4).bit_length() - 1
    if side != 4 * 2**m or m < 1:
        raise UserError(f"network '{network}' takes sides of 8, 16, 32, 64, ..., not {side}; use 'conv' and 'deconv', or 'mlp'")
    return channels, m


def vector(latent_shape: tuple[int, ...], network: str) -> int:
    """The size of a vector of latents; :class:`UserError` where they are none."""
    if len(latent_shape) != 1:
        raise UserError(f"network '{network}' takes a vector of latents, not one of shape {latent_shape}; use 'mlp'")
    return latent_shape[0]


def start_small(module: nn.Module) -> None:
    """Radford et al.'s start: convolutions N(0, 0.02^2), normalisation gains N(1, 0.02^2)."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


class DcganFeatures(nn.Module):
    """Arjovsky's discriminator up to its 4x4 map: stride-2 convolutions 4x4, widths doubling from ``width``, no biases.

    Sides 8, 16, 32, 64, ...; the first convolution has no batch normalisation, and none has with ``norm: none`` (critics with a
    gradient penalty).
    """

    def __init__(self, event_shape: tuple[int, ...], *, width: Width = 64, norm: Norm = "batch") -> None:
        super().__init__()
        channels, m = doublings(event_shape, "dcgan")
        widths = [channels, *(width * 2**i for i in range(m))]
        self.features = 16 * widths[-1]
        self.layers = nn.Sequential(
            *(
                normed(nn.Conv2d(a, b, 4, 2, 1, bias=False), b, norm if i else "none", nn.LeakyReLU(0.2))
                for i, (a, b) in enumerate(pairwise(widths))
            ),
            nn.Flatten(),
        )
        self.apply(start_small)

    def forward(self, x: Tensor) -> Tensor:
        return over_images(self.layers, x, 3)


class DcganRenderer(nn.Module):
    """Arjovsky's generator without its tanh: a 4x4 map, then stride-2 transposed convolutions 4x4, widths halving to ``width``.

    On 64x64 images and with width 64: 512, 256, 128, 64 channels, and the image's; on 32x32 images one layer less.
    """

    def __init__(
        self, latent_shape: tuple[int, ...], out_shape: tuple[int, ...], *, width: Width = 64, norm: Norm = "batch"
    ) -> None:
        super().__init__()
        channels, m = doublings(out_shape, "dcgan")
        latents = vector(latent_shape, "dcgan")
        widths = [width * 2**i for i in reversed(range(m))]
        self.layers = nn.Sequential(
            nn.Unflatten(-1, (latents, 1, 1)),
            normed(Deconv(latents, widths[0], 4, 1, 0, bias=False), widths[0], norm, nn.ReLU()),
            *(normed(Deconv(a, b, 4, 2, 1, bias=False), b, norm, nn.ReLU()) for a, b in pairwise(widths)),
            Deconv(width, channels, 4, 2, 1, bias=False),
        )
        self.apply(start_small)

    def forward(self, z: Tensor) -> Tensor:
        return over_images(self.layers, z, 1)


class ColorMnistFeatures(nn.Module):
    """The mirror of the ColorMNIST generator: convolutions 5x5, 28 -> 14 -> 14 -> 7, of 32, 64 and 64 channels."""

    def __init__(self, event_shape: tuple[int, ...], *, width: Width = 32, norm: Norm = "batch") -> None:
        super().__init__()
        channels, side = square_side(event_shape, "colormnist", 4)
        self.features = 2 * width * (side // 4) ** 2
        self.layers = nn.Sequential(
            normed(nn.Conv2d(channels, width, 5, 2, 2), width, norm, nn.ReLU()),
            normed(nn.Conv2d(width, 2 * width, 5, 1, 2), 2 * width, norm, nn.ReLU()),
            normed(nn.Conv2d(2 * width, 2 * width, 5, 2, 2), 2 * width, norm, nn.ReLU()),
            nn.Flatten(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return over_images(self.layers, x, 3)


class ColorMnistRenderer(nn.Module):
    """The ColorMNIST generator without its tanh: a dense 7x7x64 map, then transposed convolutions 5x5, 7 -> 14 -> 14 -> 28."""

    def __init__(
        self, latent_shape: tuple[int, ...], out_shape: tuple[int, ...], *, width: Width = 32, norm: Norm = "batch"
    ) -> None:
        super().__init__()
        channels, side = square_side(out_shape, "colormnist", 4)
        latents, quarter = vector(latent_shape, "colormnist"), side // 4
        self.layers = nn.Sequential(
            nn.Linear(latents, 2 * width * quarter**2),
            nn.Unflatten(-1, (2 * width, quarter, quarter)),
            normed(nn.Identity(), 2 * width, norm, nn.ReLU()),
            normed(Deconv(2 * width, 2 * width, 5, 2, 2, 1), 2 * width, norm, nn.ReLU()),
            normed(Deconv(2 * width, width, 5, 1, 2), width, norm, nn.ReLU()),
            Deconv(width, channels, 5, 2, 2, 1),
        )

    def forward(self, z: Tensor) -> Tensor:
        return over_images(self.layers, z, 1)


class ColorMnistCriticFeatures(nn.Module):
    """The ColorMNIST discriminator up to its linear heads: five 5x5 convolutions, 28 -> 13 -> 11 -> 5 -> 3 -> 1.

    Widths 8, 16, 32, 64, 64 for ``width`` 8, strides 2, 1, 2, 1, 2, padding 1, leaky ReLU; batch normalisation only with
    ``norm: batch``, and then not in the first and last layer.
    """

    def __init__(self, event_shape: tuple[int, ...], *, width: Width = 8, norm: Norm = "none") -> None:
        super().__init__()
        channels, side = square_side(event_shape, "colormnist-critic", 4)
        if side < 28:
            raise UserError(f"network 'colormnist-critic' takes images of at least 28x28 pixels, not {side}x{side}; use 'conv'")
        widths = [channels, width, 2 * width, 4 * width, 8 * width, 8 * width]
        strides = (2, 1, 2, 1, 2)
        for stride in strides:
            side = (side - 3) // stride + 1
        self.features = widths[-1] * side**2
        self.layers = nn.Sequential(
            *(
                normed(nn.Conv2d(a, b, 5, s, 1), b, norm if 0 < i < 4 else "none", nn.LeakyReLU(0.2))
                for i, ((a, b), s) in enumerate(zip(pairwise(widths), strides, strict=True))
            ),
            nn.Flatten(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return over_images(self.layers, x, 3)

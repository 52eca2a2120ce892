"""The gated convolutional encoder and deconvolutional decoder of Alemi et al. 2018, App. F (their "-" networks).

On 28x28 images the layers are the paper's: 28 -> 28 -> 14 -> 14 -> 7 -> 1 and back. For other sizes the last encoder kernel
(and the first decoder kernel) is a quarter of the image's side, and the decoder crops what a side not divisible by 4 leaves over.
"""

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from ratelab.core.errors import UserError
from ratelab.networks.layers import SameConv, SameDeconv, gated, over_images
from ratelab.networks.transposed import Deconv

Width = Annotated[int, Field(ge=1)]


class ConvFeatures(nn.Module):
    """Gated convolutions: (\\*lead, C, H, W) -> (\\*lead, features). ``width`` is the first layer's channels (the paper's 32)."""

    def __init__(self, event_shape: tuple[int, ...], *, width: Width = 32, features: Width = 256) -> None:
        super().__init__()
        channels, height, width_px = image_shape(event_shape, "conv")
        self.features = features
        quarter = (-(-height // 4), -(-width_px // 4))
        self.layers = nn.Sequential(
            gated(SameConv, channels, width, 5, 1),
            gated(SameConv, width, width, 5, 2),
            gated(SameConv, width, 2 * width, 5, 1),
            gated(SameConv, 2 * width, 2 * width, 5, 2),
            gated(nn.Conv2d, 2 * width, features, quarter),
            nn.Flatten(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return over_images(self.layers, x, 3)


class DeconvRenderer(nn.Module):
    """Gated transposed convolutions: (\\*lead, d) -> (\\*lead, C, H, W). ``width`` is the last layers' channels (the paper's 32)."""

    def __init__(self, latent_shape: tuple[int, ...], out_shape: tuple[int, ...], *, width: Width = 32) -> None:
        super().__init__()
        channels, height, width_px = image_shape(out_shape, "deconv")
        if len(latent_shape) != 1:
            raise UserError(f"network 'deconv' takes a vector of latents, not one of shape {latent_shape}; use 'mlp'")
        self.crop = (height, width_px)
        quarter = (-(-height // 4), -(-width_px // 4))
        self.layers = nn.Sequential(
            nn.Unflatten(-1, (latent_shape[0], 1, 1)),
            gated(Deconv, latent_shape[0], 2 * width, quarter),
            gated(SameDeconv, 2 * width, 2 * width, 5, 1),
            gated(SameDeconv, 2 * width, 2 * width, 5, 2),
            gated(SameDeconv, 2 * width, width, 5, 1),
            gated(SameDeconv, width, width, 5, 2),
            gated(SameDeconv, width, width, 4, 1),
            SameConv(width, channels, 5, 1),
        )

    def forward(self, z: Tensor) -> Tensor:
        return over_images(self.layers, z, 1)[..., : self.crop[0], : self.crop[1]]


def image_shape(shape: tuple[int, ...], network: str) -> tuple[int, int, int]:
    """``shape`` as (C, H, W), or a :class:`UserError` where it is no image."""
    if len(shape) != 3 or min(shape[1:]) < 4:
        raise UserError(
            f"network '{network}' takes images (C, H, W) of at least 4x4 pixels, not data of shape {shape}; use 'mlp'"
        )
    return shape[0], shape[1], shape[2]

"""The DCGAN-like networks of Wasserstein autoencoders (Tolstikhin et al. 2018), which Crescimanna and Graham 2019 use.

Batch normalisation after every hidden convolution, ReLU, TensorFlow's "same" padding, weights N(0, 0.01^2). The decoder ends in a plain
convolution; its likelihood squashes.
"""

from itertools import pairwise
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from ratelab.networks.dcgan import normed, square_side, vector
from ratelab.networks.layers import SameConv, SameDeconv, over_images

Kernel = Annotated[int, Field(ge=2)] | None
DEPTH = 4


def usual_kernel(side: int, kernel: int | None) -> int:
    """4 for MNIST's 28x28, 5 for 32x32 and 64x64, unless one is given."""
    return kernel if kernel is not None else (4 if side % 8 else 5)


def start_smaller(module: nn.Module) -> None:
    """Weights N(0, 0.01^2), biases 0."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        nn.init.normal_(module.weight, 0.0, 0.01)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class WaeFeatures(nn.Module):
    """Four stride-2 convolutions of 128, 256, 512 and 1024 channels (``width`` is the last): 28 -> 14 -> 7 -> 4 -> 2, 64 -> 4.

    ``kernel``: 4 where the side is no multiple of 8 (MNIST), else 5.
    """

    def __init__(
        self, event_shape: tuple[int, ...], *, width: Annotated[int, Field(ge=8)] = 1024, kernel: Kernel = None
    ) -> None:
        super().__init__()
        channels, side = square_side(event_shape, "wae-dcgan", 4)
        size = usual_kernel(side, kernel)
        widths = [channels, *(width // 2**i for i in reversed(range(DEPTH)))]
        for _ in range(DEPTH):
            side = -(-side // 2)
        self.features = width * side**2
        layers = (normed(SameConv(a, b, size, 2), b, "batch", nn.ReLU()) for a, b in pairwise(widths))
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.apply(start_smaller)

    def forward(self, x: Tensor) -> Tensor:
        return over_images(self.layers, x, 3)


class WaeRenderer(nn.Module):
    """A dense map of ``width`` channels, then stride-2 transposed convolutions that halve them, then one of stride 1 to the image.

    MNIST's 28x28: 7 -> 14 -> 28 with 1024, 512, 256 channels. Sides that are multiples of 8 double three times: 8 -> 64 (CelebA),
    4 -> 32 (CIFAR-10), with 1024, 512, 256, 128. ``kernel``: 4 where the side is no multiple of 8, else 5.
    """

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        *,
        width: Annotated[int, Field(ge=8)] = 1024,
        kernel: Kernel = None,
    ) -> None:
        super().__init__()
        channels, side = square_side(out_shape, "wae-dcgan", 4)
        size, growths = usual_kernel(side, kernel), 2 if side % 8 else 3
        latents, base = vector(latent_shape, "wae-dcgan"), side // 2**growths
        widths = [width // 2**i for i in range(growths + 1)]
        self.layers = nn.Sequential(
            nn.Linear(latents, width * base**2),
            nn.ReLU(),
            nn.Unflatten(-1, (width, base, base)),
            *(normed(SameDeconv(a, b, size, 2), b, "batch", nn.ReLU()) for a, b in pairwise(widths)),
            SameDeconv(widths[-1], channels, size, 1),
        )
        self.apply(start_smaller)

    def forward(self, z: Tensor) -> Tensor:
        return over_images(self.layers, z, 1)

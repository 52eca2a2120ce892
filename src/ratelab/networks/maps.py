"""Networks between images and maps of latents, 5x5 with stride 2 (Minnen et al. 2018; a variant of Xiao and Bamler 2023's public code).

Every convolution halves the sides, rounded up, and every transposed one gives back the sides it came from; ReLU behind each, and
nothing is normalised, as in Xiao and Bamler's other networks (Minnen et al. divide by a norm).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ratelab.core.errors import UserError
from ratelab.networks.layers import over_images, size_of
from ratelab.networks.transposed import Deconv

Side = tuple[int, int]
HALVINGS = 3  # between an image and the lowest map of latents


def sides(shape: tuple[int, ...], halvings: int) -> list[Side]:
    """(H, W) of an image (C, H, W) and of the maps after each halving; :class:`UserError` for what is no image.

    >>> sides((1, 28, 28), 4)
    [(28, 28), (14, 14), (7, 7), (4, 4), (2, 2)]
    """
    if len(shape) != 3:
        raise UserError(f"5x5 convolutions take images (C, H, W), not data of shape {shape}; use model 'hierarchy'")
    found = [(shape[1], shape[2])]
    for _ in range(halvings):
        height, width = found[-1]
        found.append((-(-height // 2), -(-width // 2)))
    return found


def halved(inputs: int, outputs: int) -> nn.Sequential:
    """A 5x5 convolution of stride 2 and its ReLU: sides n to ceil(n / 2)."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 5, 2, 2), nn.ReLU())


def doubled(inputs: int, outputs: int, small: Side, large: Side) -> Deconv:
    """The transposed convolution of 5x5 and stride 2 from maps of ``small`` sides to maps of ``large`` ones."""
    more, wider = (b - (2 * a - 1) for a, b in zip(small, large, strict=True))
    return Deconv(inputs, outputs, 5, 2, 2, (more, wider))


def mixed(inputs: int, outputs: int) -> nn.Sequential:
    """A 5x5 convolution that keeps the sides, and its ReLU."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 5, padding=2), nn.ReLU())


class Climb(nn.Module):
    """From an image (B, C, H, W) to a map of ``width`` channels after ``halvings``."""

    def __init__(self, channels: int, width: int, halvings: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(halved(a, b) for a, b in pairwise((channels, *(width,) * halvings))))

    def forward(self, x: Tensor) -> Tensor:
        return over_images(self.layers, x, 3)


class Descent(nn.Module):
    """From all maps of latents above a layer, top first, to a map of ``width`` channels on the layer's own sides.

    ``channels``: those of each map above. ``way``: their sides, top first, and the layer's at the end. Each step doubles the sides of
    what came down so far, the next map of latents beside it.
    """

    def __init__(self, channels: Sequence[int], way: Sequence[Side], width: int) -> None:
        super().__init__()
        self.steps = nn.ModuleList(
            nn.Sequential(doubled(own + (width if i else 0), width, small, large), nn.ReLU())
            for i, (own, (small, large)) in enumerate(zip(channels, pairwise(way), strict=True))
        )

    def forward(self, above: tuple[Tensor, ...]) -> Tensor:
        """Each of ``above`` (K, B, c, h, w) -> (K, B, width, H, W)."""
        come = above[0]
        for i, (step, z) in enumerate(zip(self.steps, above, strict=True)):
            come = over_images(step, torch.cat([come, z], -3) if i else z, 3)
        return come


class MapRenderer(nn.Module):
    """From a map of latents of an eighth of the image's sides to the image: three transposed 5x5 convolutions of stride 2.

    ``width``: channels between. A vector of latents becomes a map through a dense layer first.
    """

    def __init__(
        self, latent_shape: tuple[int, ...], out_shape: tuple[int, ...], *, width: Annotated[int, Field(ge=1)] = 192
    ) -> None:
        super().__init__()
        way = sides(out_shape, HALVINGS)[::-1]
        self.axes = len(latent_shape)
        if self.axes == 1:
            entered = (width, *way[0])
            self.enter: nn.Module = nn.Sequential(nn.Linear(latent_shape[0], size_of(entered)), nn.Unflatten(-1, entered))
        elif self.axes == 3 and latent_shape[1:] == way[0]:
            self.enter = nn.Identity()
        else:
            raise UserError(
                f"network 'maps' takes a vector of latents or a map of {way[0]} here, not latents of shape {latent_shape}"
            )
        channels = (latent_shape[0] if self.axes == 3 else width, width, width, out_shape[0])
        layers: list[nn.Module] = []
        for (inputs, outputs), (small, large) in zip(pairwise(channels), pairwise(way), strict=True):
            layers += [doubled(inputs, outputs, small, large), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, z: Tensor) -> Tensor:
        return over_images(lambda maps: self.layers(self.enter(maps)), z, self.axes)

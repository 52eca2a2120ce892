"""Convolutions over an image's past in raster order, and the two ways to run them: whole images at once, or pixel by pixel.

A network is written once against :class:`Steps`. :class:`WholeImage` runs it over complete images (scoring); the steps of
:mod:`ratelab.networks.pixelcnn_cache` run the very same code one row or one pixel at a time (drawing), each layer
remembering the last row it saw.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CausalConv(nn.Conv2d):
    """A convolution that sees its own row and those above: all columns around (``centred``), or its own and those to the left.

    ``kernel`` is (rows, columns); the output has the input's size, or half of it with ``stride`` 2.
    """

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], *, centred: bool, stride: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride)
        rows, columns = kernel
        self.sides = (columns // 2, columns // 2) if centred else (columns - 1, 0)
        self.above = rows - 1

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (*self.sides, self.above, 0)))


def shift_down(x: Tensor) -> Tensor:
    """Every row one further down; the first becomes 0."""
    return F.pad(x, (0, 0, 1, -1))


def shift_right(x: Tensor) -> Tensor:
    """Every column one further right; the first becomes 0."""
    return F.pad(x, (1, -1, 0, 0))


class Steps(ABC):
    """How the layers of a network are run."""

    @abstractmethod
    def conv(self, layer: nn.Conv2d, x: Tensor) -> Tensor:
        """What ``layer`` makes of ``x`` here."""

    @abstractmethod
    def pick(self, x: Tensor) -> Tensor:
        """The part of a row-wise stream's output that belongs here."""

    @abstractmethod
    def coarser(
        self, shrink: nn.Conv2d, grow: nn.ConvTranspose2d, x: Tensor, inner: Callable[[Tensor, "Steps"], Tensor]
    ) -> Tensor:
        """``grow(inner(shrink(x)))``, with the steps to run ``inner`` at half the resolution."""


class WholeImage(Steps):
    """All pixels at once."""

    def conv(self, layer: nn.Conv2d, x: Tensor) -> Tensor:
        return layer(x)

    def pick(self, x: Tensor) -> Tensor:
        return x

    def coarser(
        self, shrink: nn.Conv2d, grow: nn.ConvTranspose2d, x: Tensor, inner: Callable[[Tensor, Steps], Tensor]
    ) -> Tensor:
        return grow(inner(shrink(x), self))


class Sampler(ABC):
    """A network that is being drawn from: pixels are asked for and written in raster order."""

    @abstractmethod
    def parameters(self, row: int, column: int) -> Tensor:
        """The network's output for one pixel, (N, outputs), given all pixels written so far."""

    @abstractmethod
    def write(self, row: int, column: int, pixel: Tensor) -> None:
        """Write a pixel's values (N, C)."""


class RasterNetwork(nn.Module, ABC):
    """A network whose output at a pixel depends on the pixels before it in raster order only, and on a map of conditions.

    ``x``: (N, C, H, W), on [-1, 1]; ``context``: (N, M, H, W), or None for a network without conditions.
    """

    @abstractmethod
    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        """(N, outputs, H, W), all pixels in one pass."""

    @abstractmethod
    def sampler(self, x: Tensor, context: Tensor | None) -> Sampler:
        """A sampler of images of ``x``'s shape, type and device; ``x``'s values do not matter."""


def with_ones(x: Tensor, context: Tensor | None) -> Tensor:
    """The image, a channel of ones that tells padding from grey, and the maps of conditions where they are an input."""
    return torch.cat([x, torch.ones_like(x[:, :1]), *([] if context is None else [context])], 1)

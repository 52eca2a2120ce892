"""Cached activations: a causal network run row by row and pixel by pixel, exactly as over the whole image.

A stream that sees only rows above a pixel is run once for each row, before the row's first pixel; a stream that also sees the
pixels to the left is run once for each pixel. Every layer remembers as many rows of its input as its kernel is high. At half
resolution a position is computed when its upper left pixel is reached, which is when its last input becomes known, and the
2x2 pixels below read what was computed then. In total every activation is computed once: the cost of drawing an image is that of
one pass over it.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ratelab.networks.causal import CausalConv, Steps

Memory = dict[nn.Module, Tensor]


class Rows(Steps):
    """One row of a stream that sees only rows above: tensors (N, features, 1, W)."""

    def __init__(self, memory: Memory, row: int) -> None:
        self.memory, self.row = memory, row

    def conv(self, layer: nn.Conv2d, x: Tensor) -> Tensor:
        if not isinstance(layer, CausalConv):
            return layer(x)
        window = F.pad(self._window(layer, x), (*layer.sides, 0, 0))
        return F.conv2d(window, layer.weight, layer.bias, layer.stride)

    def _window(self, layer: CausalConv, x: Tensor) -> Tensor:
        seen = self.memory.get(layer)
        window = torch.cat([x.new_zeros(*x.shape[:2], layer.above, x.shape[3]) if seen is None else seen, x], 2)
        self.memory[layer] = window[:, :, 1:]
        return window

    def pick(self, x: Tensor) -> Tensor:
        return x

    def coarser(
        self, shrink: nn.Conv2d, grow: nn.ConvTranspose2d, x: Tensor, inner: Callable[[Tensor, Steps], Tensor]
    ) -> Tensor:
        assert isinstance(shrink, CausalConv)
        if self.row % 2:
            self._window(shrink, x)
        else:
            self.memory[grow] = grow(inner(self.conv(shrink, x), Rows(self.memory, self.row // 2)))
        return self.memory[grow][:, :, self.row % 2 : self.row % 2 + 1]


class Pixels(Steps):
    """One pixel of a stream that sees rows above and pixels to the left: tensors (N, features). ``width``: pixels in a row."""

    def __init__(self, memory: Memory, row: int, column: int, width: int) -> None:
        self.memory, self.row, self.column, self.width = memory, row, column, width

    def conv(self, layer: nn.Conv2d, x: Tensor) -> Tensor:
        assert layer.bias is not None
        flat = self._window(layer, x) if isinstance(layer, CausalConv) else x
        return torch.addmm(layer.bias, flat, layer.weight.flatten(1).T)

    def _window(self, layer: CausalConv, x: Tensor) -> Tensor:
        rows, columns = layer.kernel_size
        if layer not in self.memory:
            self.memory[layer] = x.new_zeros(*x.shape, rows, self.width + columns - 1)
        seen = self.memory[layer]
        if self.column == 0 and rows > 1:
            seen[:, :, :-1] = seen[:, :, 1:].clone()
        seen[:, :, -1, self.column + columns - 1] = x
        return seen[:, :, :, self.column : self.column + columns].flatten(1)

    def pick(self, x: Tensor) -> Tensor:
        return x[:, :, 0, self.column]

    def coarser(
        self, shrink: nn.Conv2d, grow: nn.ConvTranspose2d, x: Tensor, inner: Callable[[Tensor, Steps], Tensor]
    ) -> Tensor:
        assert isinstance(shrink, CausalConv)
        if self.row % 2 or self.column % 2:
            self._window(shrink, x)
        else:
            self._grow(grow, inner(self.conv(shrink, x), self._half()))
        return self.memory[grow][:, :, self.row % 2, self.column]

    def _half(self) -> "Pixels":
        return Pixels(self.memory, self.row // 2, self.column // 2, self.width // 2)

    def _grow(self, grow: nn.ConvTranspose2d, x: Tensor) -> None:
        """Write the four pixels below one position of half resolution."""
        assert grow.bias is not None
        block = (x @ grow.weight.flatten(1)).unflatten(1, grow.weight.shape[1:]) + grow.bias[:, None, None]
        if grow not in self.memory:
            self.memory[grow] = x.new_zeros(*block.shape[:3], self.width)
        self.memory[grow][..., self.column : self.column + 2] = block

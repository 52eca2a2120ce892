"""The PixelCNN++-style network of Alemi et al. 2018, App. F (its "+" decoder), after Salimans et al. 2017.

Two streams: ``above`` sees the rows above a pixel; ``left`` also sees the pixels to its left and takes the other as a side input.
Each runs through six blocks at resolutions 1, 1/2, 1/4, 1/4, 1/2, 1, the last three joined to the first three by skip connections.
"""

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ratelab.core.errors import UserError
from ratelab.networks.causal import CausalConv, RasterNetwork, Sampler, Steps, WholeImage, shift_down, shift_right, with_ones
from ratelab.networks.pixelcnn_cache import Memory, Pixels, Rows
from ratelab.networks.transposed import Deconv

Stream = Literal["above", "left"]
Trace = dict[nn.Module, Tensor]

KERNEL: dict[Stream, tuple[int, int]] = {"above": (2, 3), "left": (2, 2)}
HALVINGS = 2


class Residual(nn.Module):
    """c = gate(conv(x) + nin(sides)), out = x + gate(conv(c)), with gate(a, b) = a sigmoid(b)."""

    def __init__(self, features: int, sides: int, stream: Stream) -> None:
        super().__init__()
        centred = stream == "above"
        self.first = CausalConv(features, 2 * features, KERNEL[stream], centred=centred)
        self.second = CausalConv(features, 2 * features, KERNEL[stream], centred=centred)
        self.sides = nn.Conv2d(sides * features, 2 * features, 1) if sides else None

    def forward(self, x: Tensor, sides: list[Tensor], steps: Steps) -> Tensor:
        c = steps.conv(self.first, x)
        if self.sides is not None:
            c = c + steps.conv(self.sides, torch.cat(sides, 1))
        return x + F.glu(steps.conv(self.second, F.glu(c, 1)), 1)


class Pair(nn.Module):
    """One residual layer of each stream. Running ``above`` leaves its output in ``trace``, where ``left`` finds it."""

    def __init__(self, features: int, sides: int) -> None:
        super().__init__()
        self.above, self.left = Residual(features, sides, "above"), Residual(features, sides + 1, "left")

    def forward(self, x: Tensor, sides: list[Tensor], stream: Stream, steps: Steps, trace: Trace) -> Tensor:
        if stream == "left":
            return self.left(x, [steps.pick(trace[self]), *sides], steps)
        trace[self] = self.above(x, sides, steps)
        return trace[self]


class Level(nn.Module):
    """Both streams at one resolution: a first block, the coarser levels, a last block with skips from the first.

    ``layers``: residual layers of a block. ``all_skips`` gives the last block one more, for the first block's input.
    """

    def __init__(self, features: int, layers: int, all_skips: bool, halvings: int) -> None:
        super().__init__()
        self.first = nn.ModuleList(Pair(features, 0) for _ in range(layers))
        self.last = nn.ModuleList(Pair(features, 1) for _ in range(layers + (1 if halvings and all_skips else 0)))
        self.coarser = Level(features, layers, all_skips, halvings - 1) if halvings else None
        if halvings:
            self.shrink = nn.ModuleDict(
                {s: CausalConv(features, features, k, centred=s == "above", stride=2) for s, k in KERNEL.items()}
            )
            grow_above = Deconv(features, features, KERNEL["above"], 2, padding=(0, 1), output_padding=(0, 1))
            self.grow = nn.ModuleDict({"above": grow_above, "left": Deconv(features, features, KERNEL["left"], 2)})

    def forward(self, x: Tensor, stream: Stream, steps: Steps, trace: Trace) -> Tensor:
        trail = [x]
        for layer in self.first:
            trail.append(layer(trail[-1], [], stream, steps, trace))
        if self.coarser is None:
            x = trail.pop()
        else:
            inner = partial(self._inner, stream, trace)
            x = steps.coarser(self.shrink[stream], self.grow[stream], trail[-1], inner)  # type: ignore[arg-type]
        for layer, skip in zip(self.last, reversed(trail), strict=False):
            x = layer(x, [skip], stream, steps, trace)
        return x

    def _inner(self, stream: Stream, trace: Trace, x: Tensor, steps: Steps) -> Tensor:
        assert self.coarser is not None
        return self.coarser(x, stream, steps, trace)


class PixelCnn(RasterNetwork):
    """``channels`` of an image of ``side`` (H, W), and ``context`` maps beside them as further input, to ``outputs`` per pixel.

    ``bias`` adds the context to both streams unshifted as well, so that a pixel also sees the conditions at its own place
    and, through the convolutions, to its right. The image's sides must be multiples of 4. With two layers in a block a pixel
    of an even row sees all pixels before it; one of an odd row, whose latest neighbours no coarser level holds, sees ten to its
    left, ten to the right in the row above, and all in the rows before that.
    """

    def __init__(
        self,
        channels: int,
        side: tuple[int, int],
        outputs: int,
        context: int = 0,
        *,
        features: int = 64,
        layers: int = 2,
        all_skips: bool = True,
        bias: bool = False,
    ) -> None:
        super().__init__()
        if side[0] % 2**HALVINGS or side[1] % 2**HALVINGS:
            raise UserError(
                f"decoder 'pixelcnn++' halves the image twice and needs sides that are multiples of 4, not {side[0]}x{side[1]};"
                " pad the images, or use 'gated-pixelcnn'"
            )
        inputs = channels + 1 + context
        self.enter_above = CausalConv(inputs, features, (2, 3), centred=True)
        self.enter_row = CausalConv(inputs, features, (1, 3), centred=True)
        self.enter_left = CausalConv(inputs, features, (2, 1), centred=False)
        self.bias = nn.Conv2d(context, 2 * features, 1) if bias and context else None
        self.level = Level(features, layers, all_skips, HALVINGS)
        self.out = nn.Conv2d(features, outputs, 1)

    def biases(self, context: Tensor | None) -> tuple[Tensor | float, Tensor | float]:
        """What the context adds to the two streams, (N, features, H, W) each; 0 without the option."""
        if self.bias is None or context is None:
            return 0.0, 0.0
        above, left = self.bias(context).chunk(2, 1)
        return above, left

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        seen = with_ones(x, context)
        bias_above, bias_left = self.biases(context)
        steps, trace = WholeImage(), Trace()
        above = shift_down(self.enter_above(seen)) + bias_above
        left = shift_down(self.enter_row(seen)) + shift_right(self.enter_left(seen)) + bias_left
        self.level(above, "above", steps, trace)
        return self.out(self.level(left, "left", steps, trace))

    def sampler(self, x: Tensor, context: Tensor | None) -> Sampler:
        return PixelCnnSampler(self, x, context)


class PixelCnnSampler(Sampler):
    """Draws from a :class:`PixelCnn` with cached activations."""

    def __init__(self, network: PixelCnn, x: Tensor, context: Tensor | None) -> None:
        self.network, self.colours = network, x.shape[1]
        self.seen = with_ones(torch.zeros_like(x), context)
        features = network.out.in_channels
        blank = x.new_zeros(x.shape[0], features, 1, 1)
        self.bias_above, self.bias_left = (blank.expand(-1, -1, *x.shape[2:]) + b for b in network.biases(context))
        self.memory, self.trace = Memory(), Trace()
        self.start = blank

    def _start_row(self, row: int) -> None:
        above, start = self.bias_above[:, :, row : row + 1], self.bias_left[:, :, row : row + 1]
        steps = Rows(self.memory, row)
        if row:
            before = self.seen[:, :, row - 1 : row]
            above = above + steps.conv(self.network.enter_above, before)
            start = start + steps.conv(self.network.enter_row, before)
        self.start = start
        self.network.level(above, "above", steps, self.trace)

    def parameters(self, row: int, column: int) -> Tensor:
        if column == 0:
            self._start_row(row)
        width = self.seen.shape[3]
        left = self.start[:, :, 0, column]
        if column:
            before = Pixels(self.memory, row, column - 1, width)
            left = left + before.conv(self.network.enter_left, self.seen[:, :, row, column - 1])
        steps = Pixels(self.memory, row, column, width)
        return steps.conv(self.network.out, self.network.level(left, "left", steps, self.trace))

    def write(self, row: int, column: int, pixel: Tensor) -> None:
        self.seen[:, : self.colours, row, column] = pixel

"""MADE: a masked autoencoder whose outputs for coordinate i see the coordinates before i only (Germain et al. 2015; K19, section 3.2).

Inputs and outputs have degrees 1..D in order, hidden units degrees in 1..D-1. A weight into a hidden unit is kept where the
degree does not fall, into an output where it strictly rises. Hidden units are sorted by degree, which loses nothing and lets
:meth:`Made.unroll` compute every unit exactly once when coordinates are filled in one after another.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ratelab.networks.mlp import Widths

Degrees = Literal["even", "random"]


class Masked(nn.Linear):
    """A linear layer with some of its weights held at zero by a mask (outputs, inputs)."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.mask, self.bias)


class Made(nn.Module):
    """(\\*lead, D) -> (\\*lead, D, outputs), where outputs i depend on inputs 0 .. i-1 and on all of ``context``.

    ``hidden``: widths of the ReLU layers. ``context``: how many unmasked values (\\*lead, context) come along; they enter the first
    hidden layer and the output. ``degrees``: spread evenly over the hidden units, or drawn with ``seed``.
    """

    def __init__(
        self,
        size: int,
        outputs: int = 1,
        *,
        hidden: Widths = (640, 640, 640),
        context: int = 0,
        degrees: Degrees = "even",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.size, self.outputs = size, outputs
        generator = torch.Generator().manual_seed(seed)
        ladder = [torch.arange(1, size + 1), *(hidden_degrees(size, width, degrees, generator) for width in hidden)]
        self.degrees = [tuple(int(d) for d in row) for row in ladder]
        masks = [(b.unsqueeze(1) >= a).to(torch.get_default_dtype()) for a, b in pairwise(ladder)]
        last = (ladder[0].unsqueeze(1) > ladder[-1]).to(torch.get_default_dtype())
        self.layers = nn.ModuleList(Masked(mask) for mask in masks)
        self.out = Masked(last.repeat_interleave(outputs, 0))
        self.context_in = nn.Linear(context, hidden[0], bias=False) if context and hidden else None
        self.context_out = nn.Linear(context, size * outputs, bias=False) if context else None

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        first, last = self._context(context)
        for position, layer in enumerate(self.layers):
            x = layer(x)
            x = F.relu(x if position or first is None else x + first)
        x = self.out(x) if last is None else self.out(x) + last
        return x.unflatten(-1, (self.size, self.outputs))

    def _context(self, context: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        first = None if self.context_in is None else self.context_in(context)
        return first, None if self.context_out is None else self.context_out(context)

    def unroll(self, fill: Callable[[int, Tensor], Tensor], lead: tuple[int, ...], context: Tensor | None = None) -> Tensor:
        """Coordinates one after another: ``fill(i, outputs of i)`` (\\*lead, outputs) -> coordinate i (\\*lead). Returns (\\*lead, D).

        Costs one pass of the network, not D: after coordinate i only the hidden units of its degree are computed.
        """
        first, last = self._context(context)
        bounds = [self._bounds(row) for row in self.degrees]
        seen = self.out.weight.new_zeros(*lead, 0)
        levels = [seen for _ in self.degrees]  # what is known of the input and of every hidden layer
        for i in range(self.size):
            rows = slice(i * self.outputs, (i + 1) * self.outputs)
            known = bounds[-1][i]
            outputs = F.linear(levels[-1][..., :known], self.out.weight[rows, :known], self.out.bias[rows])
            levels[0] = torch.cat(
                [levels[0], fill(i, outputs if last is None else outputs + last[..., rows]).unsqueeze(-1)], -1
            )
            for above, layer in enumerate(self.layers, start=1):
                assert isinstance(layer, Masked)
                rows, inputs = slice(bounds[above][i], bounds[above][i + 1]), bounds[above - 1][i + 1]
                fresh = F.linear(levels[above - 1][..., :inputs], layer.weight[rows, :inputs], layer.bias[rows])
                fresh = fresh + first[..., rows] if above == 1 and first is not None else fresh
                levels[above] = torch.cat([levels[above], F.relu(fresh)], -1)
        return levels[0]

    def _bounds(self, degrees: tuple[int, ...]) -> list[int]:
        """How many units have a degree of at most 0, 1, ..., D."""
        return torch.searchsorted(torch.tensor(degrees), torch.arange(self.size + 1), right=True).tolist()


def hidden_degrees(size: int, width: int, how: Degrees, generator: torch.Generator) -> Tensor:
    """Sorted degrees in 1 .. D-1 for one hidden layer.

    >>> hidden_degrees(4, 6, "even", torch.Generator())
    tensor([1, 1, 2, 2, 3, 3])
    """
    top = max(size - 1, 1)
    if how == "even":
        return (torch.arange(width) % top + 1).sort().values
    return torch.randint(1, top + 1, (width,), generator=generator).sort().values

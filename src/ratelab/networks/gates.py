"""Gates that let one network serve every beta: what its layers give is scaled, and shifted, by functions of log beta.

Bae et al. 2023 (eq. 8) scale the pre-activations of each layer by an affine map of log beta through an activation. Here one small
network gives the gates of all layers at once: scales 2 sigmoid(a), 1 at a = 0, and shifts b.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn


@dataclass
class Board:
    """Where the gates of one pass hang while it runs: (1 or B, width) scales and shifts, a pair for each gated place."""

    gates: Sequence[tuple[Tensor, Tensor]] = field(default_factory=tuple)

    def apply(self, place: int, values: Tensor, axes: int) -> Tensor:
        """``values`` (\\*lead, width, ...), with ``axes`` axes behind the channels, scaled and shifted channel by channel."""
        if not self.gates:
            raise RuntimeError("a gated network was called outside of a pass of its model")
        scale, shift = (beside(gate, values, axes) for gate in self.gates[place])
        return torch.addcmul(shift, scale, values)


class GatedLayer(nn.Module):
    """A layer whose output is gated; ``axes``: how many axes follow its channels."""

    def __init__(self, layer: nn.Module, board: Board, place: int, axes: int) -> None:
        super().__init__()
        self.layer, self.board, self.place, self.axes = layer, board, place, axes

    def forward(self, x: Tensor) -> Tensor:
        return self.board.apply(self.place, self.layer(x), self.axes)


class GatedInput(nn.Module):
    """A network whose input, a vector of latents, is gated."""

    def __init__(self, network: nn.Module, board: Board, place: int) -> None:
        super().__init__()
        self.network, self.board, self.place = network, board, place

    def forward(self, z: Tensor) -> Tensor:
        return self.network(self.board.apply(self.place, z, 0))


class Gates(nn.Module):
    """(B, inputs) in [-1, 1] to the gates of all places of ``board``, ``widths`` wide each, through ``hidden`` units (0: none)."""

    def __init__(self, inputs: int, widths: Sequence[int], hidden: int, board: Board) -> None:
        super().__init__()
        self.widths, self.board = tuple(widths), board
        self.last = nn.Linear(hidden or inputs, 2 * sum(widths))
        nn.init.zeros_(self.last.bias)
        self.first = nn.Linear(inputs, hidden) if hidden else None
        if self.first is not None:  # bends all along the range, from flat ones to steps
            nn.init.uniform_(self.first.weight, -3.0, 3.0)
            nn.init.uniform_(self.first.bias, -2.0, 2.0)

    @contextmanager
    def hung(self, place: Tensor) -> Iterator[None]:
        """Let the gated layers use the gates at ``place`` (1 or B, inputs) while the block runs."""
        bent = place if self.first is None else torch.tanh(self.first(place))
        raw, shifts = self.last(bent).chunk(2, -1)
        scales = 2 * torch.sigmoid(raw)
        self.board.gates = tuple(zip(scales.split(self.widths, -1), shifts.split(self.widths, -1), strict=True))
        try:
            yield
        finally:
            self.board.gates = ()


def beside(gate: Tensor, out: Tensor, axes: int) -> Tensor:
    """A gate (1 or B, width) so that it broadcasts against an output (\\*lead, width, ...) of ``axes`` trailing axes.

    The last leading axis of the output counts the examples, or K samples of each, sample by sample.

    >>> beside(torch.ones(2, 3), torch.ones(10, 3, 4, 4), 2).shape
    torch.Size([10, 3, 1, 1])
    """
    examples, rows = gate.shape[0], out.shape[-2 - axes]
    if examples not in (1, rows):
        gate = gate.repeat(rows // examples, 1)
    return gate.reshape(*gate.shape, *(1,) * axes)

"""An LSTM over the coordinates of a vector: what comes before a coordinate, to the parameters of its law (Rosca et al. 2018, App. E.3).

The cell is Hochreiter and Schmidhuber's with a forget gate, its steps written out, so that networks of it can be stacked and held fixed.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Memory(NamedTuple):
    """What the cell carries from one coordinate to the next, (\\*lead, hidden) each."""

    output: Tensor
    cell: Tensor


class CoordinateLstm(nn.Module):
    """One layer of ``hidden`` units over ``size`` coordinates; the i-th output sees coordinates before i only."""

    def __init__(self, size: int, hidden: int, outputs: int = 2) -> None:
        super().__init__()
        self.size, self.hidden = size, hidden
        self.inward = nn.Linear(1, 4 * hidden)
        self.across = nn.Linear(hidden, 4 * hidden, bias=False)
        self.places = nn.Parameter(torch.zeros(size, 4 * hidden))  # which coordinate comes next
        self.head = nn.Linear(hidden, outputs)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def start(self, like: Tensor) -> Memory:
        """Before the first coordinate, for leading axes of ``like`` (\\*lead, d)."""
        nothing = like.new_zeros(*like.shape[:-1], self.hidden)
        return Memory(nothing, nothing)

    def step(self, memory: Memory, before: Tensor, place: int) -> tuple[Memory, Tensor]:
        """From the coordinate before, (\\*lead, 1), to the parameters (\\*lead, outputs) of the one at ``place``."""
        gates = self.inward(before) + self.across(memory.output) + self.places[place]
        enter, forget, new, leave = gates.chunk(4, -1)
        cell = torch.sigmoid(forget + 1) * memory.cell + torch.sigmoid(enter) * torch.tanh(new)
        memory = Memory(torch.sigmoid(leave) * torch.tanh(cell), cell)
        return memory, self.head(memory.output)

    def forward(self, z: Tensor) -> Tensor:
        """(\\*lead, d) -> (\\*lead, d, outputs)."""
        memory, before, rows = self.start(z), torch.zeros_like(z[..., :1]), []
        for place in range(self.size):
            memory, parameters = self.step(memory, before, place)
            rows.append(parameters)
            before = z[..., place : place + 1]
        return torch.stack(rows, -2)

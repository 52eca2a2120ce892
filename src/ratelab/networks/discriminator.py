"""The discriminator of codes: fully connected layers with leaky ReLU 0.2, and one number (Rosca et al. 2018, App. E.2 and K).

Its activations may be disturbed in training by dropout and by Gaussian noise. Both are drawn by who calls it: no network of ours has
randomness of its own.
"""

from collections.abc import Callable
from itertools import pairwise

from torch import Tensor, nn

from ratelab.networks.layers import dense, flat, size_of

Stir = Callable[[Tensor], Tensor]
"""Activations of one layer to what the next one sees."""


def still(values: Tensor) -> Tensor:
    """Undisturbed activations: evaluation."""
    return values


class Discriminator(nn.Module):
    """``layers`` layers of ``width`` units: (\\*lead, \\*event) -> (\\*lead,)."""

    def __init__(self, event_shape: tuple[int, ...], *, layers: int, width: int) -> None:
        super().__init__()
        self.event_shape = event_shape
        widths = [size_of(event_shape), *[width] * layers]
        self.layers = nn.ModuleList(dense(a, b, "leaky-relu") for a, b in pairwise(widths))
        self.head = nn.Linear(widths[-1], 1)

    def forward(self, z: Tensor, stir: Stir = still) -> Tensor:
        hidden = flat(z, self.event_shape)
        for layer in self.layers:
            hidden = stir(layer(hidden))
        out: Tensor = self.head(hidden)
        return out.squeeze(-1)

"""Draws of whole paths z_L ... z_1 of some examples, each scored under the encoders of all of these.

The density of a path is the product of its layers', e(z_L|x) ... e(z_l | z_>l, x), so mixtures over examples estimate what layers L to l
together know, whose law by itself is an integral for all but the top one.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from ratelab.core.codes import represented
from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.core.passes import Pass

PAIRS = 5_000  # draws times examples that are scored at once, through the encoders' networks


class KeptPaths:
    """Rows of tensors, (n, ...) each, of at most ``most`` examples: x, each layer's draws, and what belongs to them.

    Each example carries a uniform number and those with the smallest stay, so that the choice is random and parts merge into the whole.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.order = torch.empty(0)
        self.rows: tuple[Tensor, ...] = ()

    def merge(self, other: "KeptPaths") -> None:
        """Take in what another part of the split gave."""
        self.keep(other.order, other.rows)

    def keep(self, order: Tensor, rows: tuple[Tensor, ...]) -> None:
        """Take in rows with the uniform numbers ``order`` (n,)."""
        if self.rows:
            order = torch.cat([self.order, order])
            rows = tuple(torch.cat(pair) for pair in zip(self.rows, rows, strict=True))
        kept = order.argsort()[: self.most].sort().values
        self.order, self.rows = order[kept], tuple(values[kept] for values in rows)


def check_paths(model: Model, seen: Pass, name: str) -> None:
    """:class:`UserError` where a draw cannot be scored under another example's encoders."""
    layers = represented(seen)
    z = tuple(layer.z for layer in layers)
    scores = model.log_encoders(seen.batch.x, z) if layers and seen.splits and seen.weights is None else None
    if scores is None or not bool(scores.isfinite().all()):
        raise UserError(
            f"estimator '{name}' scores each draw under every example's encoders, layer by layer from the top, which"
            " this model does not allow; leave it out"
        )


def scored_pairs(model: Model, x: Tensor, z: tuple[Tensor, ...]) -> Iterator[Tensor]:
    """log q(z_>=l | x_n) of paths z (N, \\*event_l each, top first) under each of the examples x (N, \\*event), nats, float64.

    Blocks of (L, rows, N), the paths in order: at most :data:`PAIRS` pairs of a path and an example, or one path with all examples.
    """
    rows = max(1, PAIRS // len(x))
    for top in range(0, len(x), rows):
        paths = tuple(part[top : top + rows, None].expand(-1, len(x), *part.shape[1:]) for part in z)
        scores = model.log_encoders(x, paths)
        assert scores is not None
        yield scores.double().cumsum(0)

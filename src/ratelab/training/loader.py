"""Batches from a split that lies in memory: shuffled in training, in order for evaluation, the last one never dropped."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from ratelab.core.batch import Batch, LiveNoise, Noise
from ratelab.core.dataset import Dataset, Split
from ratelab.core.errors import UserError


class Loader:
    """Serves a split as floating-point batches in the model's units.

    A split with weights is served whole, as an exact sum: :class:`UserError` for smaller batches. ``passes``: how often an
    epoch serves every example. ``resample`` holds the stream for dynamic binarisation: each access draws 0/1 with the stored
    grey value as probability. ``condition``: n -> the conditions (n, L) of n shuffled examples, for models trained over a range.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: Split,
        batch_size: int,
        *,
        passes: int = 1,
        resample: Noise | None = None,
        condition: Callable[[int], Tensor] | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.x = torch.as_tensor(split.x).to(device)
        self.y = None if split.y is None else torch.as_tensor(split.y).to(device)
        self.weight = None if split.weight is None else torch.as_tensor(split.weight, dtype=dtype, device=device)
        if self.weight is not None and batch_size < len(self.x):
            raise UserError(
                f"training.batch_size: '{dataset.name}' is summed over all its {len(self.x)} states in every step; give {len(self.x)}"
            )
        self.scale = dataset.scale if resample is None else 1.0 / 255.0
        self.batch_size, self.passes, self.resample, self.dtype = batch_size, passes, resample, dtype
        self.condition = condition

    def __len__(self) -> int:
        return -(-len(self.x) // self.batch_size)

    def values(self, rows: Tensor) -> Tensor:
        """Stored rows in the model's units; drawn as 0/1 where the data is resampled."""
        x = rows.to(self.dtype)
        if self.scale != 1.0:
            x *= self.scale
        return x if self.resample is None else (self.resample.uniform(x.shape) < x).to(self.dtype)

    def shuffled(self, order: LiveNoise, epoch: int) -> Iterator[Batch]:
        """One epoch, ``passes`` times all examples in random order; a batch's ``epoch`` says how far it is."""
        batches = (part for _ in range(self.passes) for part in order.permutation(len(self.x)).split(self.batch_size))
        for step, index in enumerate(batches):
            y, weight = (None if part is None else part[index] for part in (self.y, self.weight))
            x = self.values(self.x[index])
            condition = None if self.condition is None else self.condition(len(index))
            yield Batch(x, index, epoch + step / (self.passes * len(self)), y, weight, condition)

    def ordered(self, epoch: float = 0.0) -> Iterator[Batch]:
        """Every example once, in order."""
        for index in torch.arange(len(self.x), device=self.x.device).split(self.batch_size):
            rows = slice(int(index[0]), int(index[-1]) + 1)
            yield Batch(self.values(self.x[rows]), index, epoch, None if self.y is None else self.y[rows])


def side_by_side(loaders: Sequence[Loader], orders: Sequence[LiveNoise], epoch: int) -> Iterator[Batch]:
    """One epoch of several loaders of the same split, each in its own order: x (M, B, \\*event), index, y and weight (M, B)."""
    first = loaders[0]
    permutations = (torch.stack([order.permutation(len(first.x)) for order in orders]) for _ in range(first.passes))
    batches = (part for permutation in permutations for part in permutation.split(first.batch_size, dim=1))
    for step, index in enumerate(batches):
        y, weight = (None if part is None else part[index] for part in (first.y, first.weight))
        if first.resample is None:
            x = first.values(first.x[index])
        else:
            x = torch.stack([loader.values(loader.x[rows]) for loader, rows in zip(loaders, index, strict=True)])
        yield Batch(x, index, epoch + step / (first.passes * len(first)), y, weight)

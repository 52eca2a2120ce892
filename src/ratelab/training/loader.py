"""Batches from a split that lies in memory: shuffled in training, in order for evaluation, the last one never dropped."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ratelab.core.batch import Batch, LiveNoise, Noise
from ratelab.core.dataset import Dataset, Split


class Loader:
    """Serves a split as floating-point batches in the model's units.

    ``resample`` holds the stream for dynamic binarisation: each access draws 0/1 with the stored grey value as probability.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: Split,
        batch_size: int,
        *,
        resample: Noise | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.x = torch.as_tensor(split.x).to(device)
        self.y = None if split.y is None else torch.as_tensor(split.y).to(device)
        self.scale = dataset.scale if resample is None else 1.0 / 255.0
        self.batch_size, self.resample, self.dtype = batch_size, resample, dtype

    def __len__(self) -> int:
        return -(-len(self.x) // self.batch_size)

    def values(self, rows: Tensor) -> Tensor:
        """Stored rows in the model's units; drawn as 0/1 where the data is resampled."""
        x = rows.to(self.dtype)
        if self.scale != 1.0:
            x *= self.scale
        return x if self.resample is None else (self.resample.uniform(x.shape) < x).to(self.dtype)

    def shuffled(self, order: LiveNoise, epoch: int) -> Iterator[Batch]:
        """One epoch in random order; a batch's ``epoch`` says how far it is."""
        for step, index in enumerate(order.permutation(len(self.x)).split(self.batch_size)):
            y = None if self.y is None else self.y[index]
            yield Batch(self.values(self.x[index]), index, epoch + step / len(self), y)

    def ordered(self, epoch: float = 0.0) -> Iterator[Batch]:
        """Every example once, in order."""
        for index in torch.arange(len(self.x), device=self.x.device).split(self.batch_size):
            rows = slice(int(index[0]), int(index[-1]) + 1)
            yield Batch(self.values(self.x[rows]), index, epoch, None if self.y is None else self.y[rows])


def side_by_side(loaders: Sequence[Loader], orders: Sequence[LiveNoise], epoch: int) -> Iterator[Batch]:
    """One epoch of several loaders of the same split, each in its own order: x (M, B, \\*event), index and y (M, B)."""
    first = loaders[0]
    permutations = torch.stack([order.permutation(len(first.x)) for order in orders])
    for step, index in enumerate(permutations.split(first.batch_size, dim=1)):
        y = None if first.y is None else first.y[index]
        if first.resample is None:
            x = first.values(first.x[index])
        else:
            x = torch.stack([loader.values(loader.x[rows]) for loader, rows in zip(loaders, index, strict=True)])
        yield Batch(x, index, epoch + step / len(first), y)

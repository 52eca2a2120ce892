"""Data of any scale inside, the user's units outside: the affine map that a model of real-valued data works behind."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ratelab.core.dataset import Dataset
from ratelab.core.law import Law
from ratelab.distributions.affine import Affine

ROWS = 1000


class Standardise(nn.Module):
    """y = (x - shift) / scale with each column's training mean and standard deviation (1 for a constant column).

    The decoder's law is wrapped so that distortions stay in the units of x (the log-Jacobian is added).
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, dataset: Dataset) -> None:
        super().__init__()
        mean, spread, largest = moments(dataset)
        self.register_buffer("shift", torch.as_tensor(mean, dtype=torch.get_default_dtype()))
        safe = np.where(spread > 1e-12 * np.maximum(1.0, largest), spread, 1.0)
        self.register_buffer("scale", torch.as_tensor(safe, dtype=torch.get_default_dtype()))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.shift) / self.scale

    def law(self, base: Law) -> Law:
        """The law of x behind a law of y."""
        return Affine(base, self.shift, self.scale)


def moments(dataset: Dataset) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean, standard deviation and largest magnitude of each column of the training split, in float64, a few rows at a time."""
    x, scale = dataset.train.x, dataset.scale
    chunks = [slice(start, start + ROWS) for start in range(0, len(x), ROWS)]
    mean = sum((x[rows].sum(0, dtype=np.float64) for rows in chunks), start=np.zeros(x.shape[1:])) / len(x)
    square = sum((((x[rows].astype(np.float64) - mean) ** 2).sum(0) for rows in chunks), start=np.zeros(x.shape[1:])) / len(x)
    largest = np.max([np.abs(x[rows].astype(np.float64)).max(0) for rows in chunks], axis=0)
    return scale * mean, scale * np.sqrt(square), scale * largest

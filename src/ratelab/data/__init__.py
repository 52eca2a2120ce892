"""Data sets: samples of p*(x). The table lists them; :func:`load` reads one from a recipe's node. No torch here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ratelab.core.dataset import Dataset
from ratelab.core.table import Table
from ratelab.data.array import Array
from ratelab.data.celeba import CelebA
from ratelab.data.cifar import Cifar10
from ratelab.data.color_mnist import ColorMnist
from ratelab.data.digits import Digits
from ratelab.data.folder import Folder
from ratelab.data.four_points import FourPoints
from ratelab.data.gaussian_pair import GaussianPair
from ratelab.data.linear_gaussian import LinearGaussian
from ratelab.data.mnist import FashionMnist, Mnist, ResampledMnist
from ratelab.data.omniglot import Omniglot, Omniglot28
from ratelab.data.omniglot5 import Omniglot5
from ratelab.data.source import Source
from ratelab.data.static_mnist import StaticMnist
from ratelab.data.strokes import Strokes
from ratelab.data.svhn import Svhn
from ratelab.data.toy import Toy

DATASETS = Table(
    "data set",
    {
        "digits": Digits,
        "static-mnist": StaticMnist,
        "static-mnist-resampled": ResampledMnist,
        "mnist": Mnist,
        "fashion-mnist": FashionMnist,
        "omniglot": Omniglot,
        "omniglot-28": Omniglot28,
        "omniglot-5": Omniglot5,
        "cifar-10": Cifar10,
        "svhn": Svhn,
        "celeba": CelebA,
        "color-mnist": ColorMnist,
        "strokes": Strokes,
        "linear-gaussian": LinearGaussian,
        "gaussian-pair": GaussianPair,
        "toy": Toy,
        "four-points": FourPoints,
        "array": Array,
        "folder": Folder,
    },
)


def load(node: str | Mapping[str, Any], folder: Path | None = None) -> Dataset:
    """The data set that a recipe's node describes: a name, or ``{"name": ..., options}``.

    ``folder`` holds one sub-folder for each data set; None means ``RATELAB_DATA``, else the user's cache. Raises
    :class:`~ratelab.core.errors.UserError` for an unknown name or option and for a missing or damaged file.

    >>> load("digits").event_shape
    (1, 8, 8)
    """
    source: Source = DATASETS.build(DATASETS.resolve(node, "data"))
    return source.load(folder)

"""Omniglot at 28x28: the version that published likelihoods refer to, and one that keeps the original alphabets."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.data.binarise import binarised
from ratelab.data.checks import checked_split
from ratelab.data.files import damaged, find, need
from ratelab.data.formats import read_mat, read_npz
from ratelab.data.registry import BY_HAND
from ratelab.data.source import Count, Source, hold_out, rows

_SHUFFLE_SEED = 0
How = Literal["threshold", "dynamic", "none"]


@dataclass(frozen=True, kw_only=True)
class Omniglot(Source):
    """Omniglot, 28x28, the version of Burda et al. 2016: 23 000 / 1 345 / 8 070 drawings, label = alphabet.

    ``chardata.mat`` is nearly binary. ``binarise``: ``threshold`` x >= 1/2 (default), ``dynamic`` (Tomczak and Welling
    2018), or ``none``. The last ``validation`` images of the shuffled training set are held out.
    """

    binarise: How = "threshold"
    validation: Count = 1345

    def read(self, root: Path) -> Dataset:
        path = need(root, "omniglot", "chardata.mat")
        found = read_mat(path, ("data", "testdata", "target", "testtarget"))
        train = shuffled(_mat_split(path, found["data"], found["target"]))
        test = _mat_split(path, found["testdata"], found["testtarget"])
        grey = Dataset("omniglot", Support.UNIT, *hold_out("omniglot", train, self.validation), test)
        return binarised(grey, self.binarise)


@dataclass(frozen=True, kw_only=True)
class Omniglot28(Source):
    """Omniglot area-averaged to 28x28, test alphabets unseen in training; likelihoods not comparable with published ones.

    Training is the background set (30 alphabets, 19 280 drawings less ``validation``), test the evaluation set (20 other
    alphabets, 13 180); label = character. Read from ``omniglot-28/omniglot_28.npz`` or ``omniglot/omniglot_28.npz``.
    """

    binarise: How = "threshold"
    validation: Count = 1345

    def read(self, root: Path) -> Dataset:
        path = omniglot_28_file(root)
        found = read_npz(path, [f"{which}_{key}" for which in ("train", "test") for key in ("images", "character")])
        both = [_npz_split(path, found, which) for which in ("train", "test")]
        parts = hold_out("omniglot-28", shuffled(both[0]), self.validation)
        note = "not the version of Burda et al.: likelihoods are not comparable with published Omniglot numbers"
        return binarised(Dataset("omniglot-28", Support.LEVELS, *parts, both[1], note=note), self.binarise)


def omniglot_28_file(root: Path) -> Path:
    """Where ``omniglot_28.npz`` lies: in a folder of its own or beside the other Omniglot files."""
    folder = "omniglot-28" if find(root / "omniglot-28", "omniglot_28.npz") else BY_HAND["omniglot-28"].beside
    return find(root / folder, "omniglot_28.npz") or need(root, "omniglot-28", "omniglot_28.npz")


def shuffled(split: Split) -> Split:
    """The split in a fixed random order, since both versions come sorted by alphabet."""
    return rows(split, np.random.RandomState(_SHUFFLE_SEED).permutation(len(split)))


def _mat_split(path: Path, pixels: NDArray[Any], target: NDArray[Any]) -> Split:
    """Columns of 784 pixels in Fortran order, and one-hot alphabets (50, N)."""
    if pixels.ndim != 2 or pixels.shape[0] != 784:
        raise damaged(path, f"holds images of shape {pixels.shape}, expected 784 x n")
    if target.ndim != 2 or target.shape[1] != pixels.shape[1]:
        raise damaged(path, f"has {pixels.shape[1]} images but targets of shape {target.shape}")
    upright = pixels.T.reshape(-1, 1, 28, 28).swapaxes(2, 3)
    return checked_split(upright, target.argmax(axis=0), Support.UNIT, f"data 'omniglot' ({path})")


def _npz_split(path: Path, found: dict[str, NDArray[Any]], which: str) -> Split:
    images = found[f"{which}_images"]
    if images.ndim != 3 or images.shape[1:] != (28, 28):
        raise UserError(f"{path}: '{which}_images' has shape {images.shape}, expected (n, 28, 28)")
    return checked_split(images[:, None], found[f"{which}_character"], Support.LEVELS, f"data 'omniglot-28' ({path})")

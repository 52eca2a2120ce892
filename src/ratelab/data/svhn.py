"""Street View House Numbers, the cropped digits (Netzer et al. 2011), from the official MATLAB files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ratelab.core.dataset import Dataset, Split, Support
from ratelab.data.checks import checked_labels, checked_split
from ratelab.data.files import damaged, need
from ratelab.data.formats import read_mat
from ratelab.data.source import Count, Source, hold_out

_OFFICIAL = {"train": 73_257, "test": 26_032}


@dataclass(frozen=True, kw_only=True)
class Svhn(Source):
    """SVHN, cropped 32x32 colour house numbers in 256 levels, 73 257 + 26 032.

    The last ``validation`` training images are held out. The files label the digit 0 as 10; here it is 0.
    """

    validation: Count = 7_257

    def read(self, root: Path) -> Dataset:
        train, test = (_split(need(root, "svhn", f"{which}_32x32.mat")) for which in ("train", "test"))
        official = (len(train), len(test)) == tuple(_OFFICIAL.values())
        note = "" if official else f"not the official files: {len(train)} + {len(test)} images instead of 73257 + 26032"
        parts = hold_out("svhn", train, self.validation)
        return Dataset("svhn", Support.LEVELS, *parts, test, label_names=tuple("0123456789"), note=note)


def _split(path: Path) -> Split:
    """``X`` (32, 32, 3, N) bytes and ``y`` (N, 1) with 10 for the digit 0."""
    found = read_mat(path, ("X", "y"))
    pixels, where = found["X"], f"data 'svhn' ({path})"
    if pixels.ndim != 4 or pixels.shape[:3] != (32, 32, 3) or pixels.dtype != np.uint8:
        raise damaged(path, f"holds images of shape {pixels.shape} and type {pixels.dtype}, expected 32x32x3xN bytes")
    labels = checked_labels(found["y"], where, classes=11) % 10
    return checked_split(pixels.transpose(3, 2, 0, 1), labels, Support.LEVELS, where)

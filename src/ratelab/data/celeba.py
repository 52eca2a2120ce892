"""CelebA faces at 64x64 (Liu et al. 2015), with the crops that published numbers use."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.data.checks import checked_split
from ratelab.data.files import need, read_bytes
from ratelab.data.formats import read_npz
from ratelab.data.pictures import decode_all
from ratelab.data.source import Source

_OFFICIAL = 202_599
_SIDE = 64
_PARTS = {"0": "train", "1": "validation", "2": "test"}


@dataclass(frozen=True, kw_only=True)
class CelebA(Source):
    """CelebA faces, 64x64 colour in 256 levels, 162 770 / 19 867 / 19 962; put the files there by hand.

    ``crop`` of the 178x218 pictures before they become 64x64: ``closecrop`` the central 140x140 (Tolstikhin et al. 2018),
    ``centre`` the central 108x108, ``resizecrop`` resize to 64x78 and take rows 7 to 71. The decoded images are kept beside
    the files as ``celeba-64-CROP.npz``, which is read instead from then on. Models see [0, 1]; a tanh network rescales
    itself.
    """

    crop: Literal["closecrop", "centre", "resizecrop"] = "closecrop"

    def read(self, root: Path) -> Dataset:
        kept = root / "celeba" / f"celeba-64-{self.crop}.npz"
        arrays = read_npz(kept, _PARTS.values()) if kept.is_file() else self._decoded(root, kept)
        train, validation, test = (_split(arrays[which], which, kept) for which in _PARTS.values())
        total = len(train) + len(validation) + len(test)
        note = "" if total == _OFFICIAL else f"{total} of the {_OFFICIAL} images"
        return Dataset("celeba", Support.LEVELS, train, validation, test, note="; ".join(filter(None, [self.crop, note])))

    def _decoded(self, root: Path, kept: Path) -> dict[str, Any]:
        listed = _partition(need(root, "celeba", "list_eval_partition.txt"))
        folder = root / "celeba" / "img_align_celeba"
        for name in (name for names in listed.values() for name in names):
            if not (folder / name).is_file():
                raise UserError(
                    f"data 'celeba': no picture {name} in {folder}, though list_eval_partition.txt names it; "
                    "unpack img_align_celeba.zip there (https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html)"
                )
        arrays = {which: decode_all([folder / n for n in names], "rgb", CROPS[self.crop]) for which, names in listed.items()}
        _keep(kept, arrays)
        return arrays


def closecrop(image: Image.Image) -> Image.Image:
    """The central 140x140, resized (datahandler of Tolstikhin et al. 2018)."""
    return _central(image, 140)


def centre(image: Image.Image) -> Image.Image:
    """The central 108x108, resized."""
    return _central(image, 108)


def resizecrop(image: Image.Image) -> Image.Image:
    """Resized to 64x78, rows 7 to 71."""
    return image.resize((_SIDE, 78), Image.Resampling.LANCZOS).crop((0, 7, _SIDE, 7 + _SIDE))


CROPS = {"closecrop": closecrop, "centre": centre, "resizecrop": resizecrop}


def _central(image: Image.Image, side: int) -> Image.Image:
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side)).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)


def _partition(path: Path) -> dict[str, list[str]]:
    """``name 0|1|2`` a line: the picture names of each split."""
    listed: dict[str, list[str]] = {which: [] for which in _PARTS.values()}
    for number, line in enumerate(read_bytes(path).decode("utf-8", "replace").splitlines(), start=1):
        words = line.split()
        if len(words) != 2 or words[1] not in _PARTS:
            raise UserError(f"{path}: line {number} is not 'PICTURE 0|1|2'; replace it by the original file")
        listed[_PARTS[words[1]]].append(words[0])
    for which, names in listed.items():
        if not names:
            raise UserError(f"{path}: names no picture for {which}; replace it by the original file")
    return listed


def _split(images: Any, which: str, path: Path) -> Split:
    if images.ndim != 4 or images.shape[1:] != (3, _SIDE, _SIDE):
        raise UserError(f"{path}: '{which}' has shape {images.shape}, expected (n, 3, {_SIDE}, {_SIDE}); delete the file")
    return checked_split(images, None, Support.LEVELS, f"data 'celeba' ({path})")


def _keep(path: Path, arrays: dict[str, Any]) -> None:
    """Decoding takes minutes, so its result is kept; a folder that cannot be written to is no reason to fail."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)

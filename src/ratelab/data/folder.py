"""A folder of pictures as a data set; sub-folders are classes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.data.partition import Fraction, partitioned
from ratelab.data.pictures import Change, Colour, decode_all
from ratelab.data.source import Seed, Source

_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


@dataclass(frozen=True, kw_only=True)
class Folder(Source):
    """A folder of your own pictures in 256 levels; sub-folders, where there are any, are the classes.

    ``path`` in a recipe file is looked for beside that file, else in the working directory. ``size`` resizes every picture
    to size x size; without it all must have one size. The rows are shuffled by ``seed``; the fractions ``validation`` and
    ``test`` are held out.
    """

    path: str
    colour: Literal["rgb", "grey"] = "rgb"
    size: Annotated[int, Field(ge=1)] | None = None
    validation: Fraction = 0.1
    test: Fraction = 0.1
    seed: Seed = 0

    def read(self, root: Path) -> Dataset:
        folder = Path(self.path).expanduser()
        if not folder.is_dir():
            raise UserError(f"data 'folder': path '{self.path}' is no folder; give the folder that holds the pictures")
        paths, labels, names = _listed(folder)
        colour: Colour = self.colour
        everything = Split(decode_all(paths, colour, _resize(self.size)), labels)
        parts = partitioned(everything, self.validation, self.test, self.seed, f"data 'folder' ({folder})")
        return Dataset("folder", Support.LEVELS, *parts, label_names=names, note=folder.name)


def _listed(folder: Path) -> tuple[list[Path], NDArray[np.int64] | None, tuple[str, ...]]:
    """Pictures in a fixed order, their class numbers and the class names."""
    classes = sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
    loose = _pictures(folder.iterdir())
    if classes and loose:
        raise UserError(f"data 'folder': {folder} holds both pictures ({loose[0].name}) and sub-folders; use one of the two")
    groups = [_pictures(child.rglob("*")) for child in classes] if classes else [loose]
    for group, child in zip(groups, classes or [folder], strict=True):
        if not group:
            raise UserError(f"data 'folder': no pictures in {child}; known endings: {' '.join(_ENDINGS)}")
    labels = np.repeat(np.arange(len(groups)), [len(group) for group in groups]).astype(np.int64)
    return [path for group in groups for path in group], labels if classes else None, tuple(c.name for c in classes)


def _pictures(children: object) -> list[Path]:
    return sorted(p for p in children if p.suffix.lower() in _ENDINGS and p.is_file())  # type: ignore[attr-defined]


def _resize(size: int | None) -> Change:
    def change(image: object) -> object:
        from PIL import Image

        return image if size is None else image.resize((size, size), Image.Resampling.LANCZOS)  # type: ignore[attr-defined]

    return change

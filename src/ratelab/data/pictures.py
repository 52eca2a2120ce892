"""Decoding picture files with Pillow, without its surprises."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ratelab.core.errors import UserError

Colour = Literal["grey", "rgb"]
Change = Callable[[Any], Any]

_MODES = {"grey": "L", "rgb": "RGB"}
_WIDE = ("I", "F", "I;16", "I;16B", "I;16L")
_THREADS = 4


def decode(path: Path, colour: Colour, change: Change = lambda image: image) -> NDArray[np.uint8]:
    """One picture as (C, H, W) bytes, after ``change`` (a crop or resize of the Pillow image)."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode in _WIDE:
                raise UserError(f"{path}: a picture with more than 8 bits per pixel; convert it to 8 bits first")
            pixels = np.asarray(change(image.convert(_MODES[colour])), np.uint8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: not a picture that can be read ({error}); replace or remove it") from None
    return pixels[None] if colour == "grey" else pixels.transpose(2, 0, 1)


def decode_all(paths: Sequence[Path], colour: Colour, change: Change = lambda image: image) -> NDArray[np.uint8]:
    """Pictures of one size as (N, C, H, W); raises :class:`UserError` naming the first one of another size."""
    first = decode(paths[0], colour, change)
    pictures = np.empty((len(paths), *first.shape), np.uint8)

    def put(row: int) -> None:
        picture = decode(paths[row], colour, change)
        if picture.shape != first.shape:
            sizes = [f"{p.shape[2]}x{p.shape[1]}" for p in (picture, first)]
            raise UserError(f"{paths[row]}: {sizes[0]} pixels, but {paths[0].name} has {sizes[1]}; give size: N to resize all")
        pictures[row] = picture

    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(put, range(len(paths))):
            pass
    return pictures

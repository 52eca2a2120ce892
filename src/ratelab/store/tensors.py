"""Array files: a first look at safetensors (are they whole?) and per-example arrays as ``.npz``. Nothing is unpickled."""

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ratelab.core.errors import UserError
from ratelab.store.files import read_file, write_file

_NO_ARRAYS = (
    ValueError,
    OSError,
    EOFError,
    KeyError,
    AttributeError,
    TypeError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_safetensors(path: Path, advice: str) -> bytes:
    """The bytes of a safetensors file; :class:`UserError` with ``advice`` where it is missing, cut short or none."""
    blob = read_file(path, advice)
    problem = damage(blob)
    if problem:
        raise UserError(f"{path} is corrupt ({problem}); {advice}")
    return blob


def damage(blob: bytes) -> str | None:
    """What is wrong with safetensors bytes: header and length must agree. None where they do.

    >>> damage(b"123")
    'cut short'
    """
    length = int.from_bytes(blob[:8], "little")
    if len(blob) < 8 or len(blob) < 8 + length:
        return "cut short"
    try:
        header = json.loads(blob[8 : 8 + length])
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        size = max(ends, default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return "no safetensors header"
    return None if len(blob) - 8 - length == size else "cut short"


def write_npz(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Write named arrays of numbers."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_file(path, buffer.getvalue())


def read_npz(path: Path, advice: str) -> dict[str, NDArray[np.generic]]:
    """Named arrays; :class:`UserError` with ``advice`` where the file is missing, damaged, or holds Python objects."""
    blob = read_file(path, advice)
    try:
        with np.load(io.BytesIO(blob), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except _NO_ARRAYS:
        # The reader's own words speak of ways to load the file that would run what is in it.
        whole = zipfile.is_zipfile(io.BytesIO(blob))
        what = "its arrays are damaged or hold something other than numbers" if whole else "cut short, or no archive of arrays"
        raise UserError(f"{path} is corrupt ({what}); {advice}") from None

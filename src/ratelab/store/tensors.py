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

_METADATA, _SEAL = "__metadata__", "crc32"
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
    """The bytes of a safetensors file; :class:`UserError` with ``advice`` where it is missing, cut short, altered or none."""
    blob = read_file(path, advice)
    problem = damage(blob)
    if problem:
        raise UserError(f"{path} is corrupt ({problem}); {advice}")
    return blob


def sealed(blob: bytes) -> bytes:
    """Safetensors bytes whose header also says the checksum of their data, by which :func:`damage` knows a byte that has changed."""
    start = 8 + int.from_bytes(blob[:8], "little")
    header, data = json.loads(blob[8:start]), blob[start:]
    header.setdefault(_METADATA, {})[_SEAL] = _checksum(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the data stay aligned
    return len(text).to_bytes(8, "little") + text + data


def damage(blob: bytes) -> str | None:
    """What is wrong with safetensors bytes: header and length must agree, and the checksum where there is one. None where they do.

    >>> damage(b"123")
    'cut short'
    """
    length = int.from_bytes(blob[:8], "little")
    if len(blob) < 8 or len(blob) < 8 + length:
        return "cut short"
    data = memoryview(blob)[8 + length :]
    try:
        header = json.loads(blob[8 : 8 + length])
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != _METADATA]
        size, seal = max(ends, default=0), header.get(_METADATA, {}).get(_SEAL)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return "no safetensors header"
    if len(data) != size:
        return "cut short"
    return None if seal in (None, _checksum(data)) else "altered: its checksum does not fit"


def _checksum(data: bytes | memoryview) -> str:
    return f"{zlib.crc32(data):08x}"


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

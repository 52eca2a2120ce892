"""The official file formats: IDX, amat, MAT, CIFAR binary, NumPy. Nothing is ever unpickled."""

import io
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ratelab.data.files import damaged, read_bytes

Bytes = NDArray[np.uint8]

_UNSIGNED_BYTE = 0x08
_RECORD = 1 + 3 * 32 * 32


def read_idx(path: Path, dimensions: int) -> Bytes:
    """An IDX file of unsigned bytes with that many dimensions (LeCun's MNIST format), as an array of its shape."""
    raw = read_bytes(path)
    head = 4 + 4 * dimensions
    if len(raw) < head or raw[:4] != bytes((0, 0, _UNSIGNED_BYTE, dimensions)):
        raise damaged(path, f"is not an IDX file of bytes with {dimensions} dimensions (it starts with {raw[:4].hex()})")
    shape = struct.unpack(f">{dimensions}I", raw[4:head])
    promised = int(np.prod(shape, dtype=object))
    if len(raw) - head != promised:
        raise damaged(path, f"holds {len(raw) - head} bytes of data, its header promises {promised}")
    return np.frombuffer(raw, np.uint8, offset=head).reshape(shape)


def read_amat(path: Path, width: int) -> Bytes:
    """A text of 0s and 1s, one example of ``width`` values a line (Larochelle & Murray 2011), as (N, width) bytes."""
    raw = read_bytes(path).replace(b"\r\n", b"\n").replace(b" \n", b"\n")
    if not raw.endswith(b"\n"):
        raw += b"\n"
    text = np.frombuffer(raw, np.uint8)
    if len(text) % (2 * width):
        raise _first_bad_line(path, raw, width)
    cells = text.reshape(-1, width, 2)
    digits, gaps = cells[..., 0] - ord("0"), cells[..., 1]
    if digits.max() > 1 or (gaps[:, :-1] != ord(" ")).any() or (gaps[:, -1] != ord("\n")).any():
        raise _first_bad_line(path, raw, width)
    return digits


def _first_bad_line(path: Path, raw: bytes, width: int) -> Exception:
    for number, line in enumerate(raw.splitlines(), start=1):
        values = line.split()
        if len(values) != width:
            return damaged(path, f"line {number} has {len(values)} values, not {width}")
        if not set(values) <= {b"0", b"1"}:
            return damaged(path, f"line {number} holds something else than 0 and 1")
    return damaged(path, f"is not a text of {width} values a line")


def read_mat(path: Path, keys: Iterable[str]) -> dict[str, NDArray[Any]]:
    """The named variables of a MATLAB 5 file."""
    from scipy.io import loadmat

    keys, raw = list(keys), read_bytes(path)
    try:
        found = loadmat(io.BytesIO(raw), variable_names=keys)
    except Exception as error:  # the parser answers a damaged file with many kinds of exception
        raise damaged(path, f"is not a MATLAB file that can be read ({type(error).__name__}: {error})") from None
    return {key: _member(path, found, key) for key in keys}


def read_cifar(raw: bytes, path: Path) -> tuple[Bytes, NDArray[np.int64]]:
    """Records of the CIFAR-10 binary version: images (N, 3, 32, 32) and labels (N,); ``path`` is for the messages."""
    if not raw or len(raw) % _RECORD:
        raise damaged(path, f"holds {len(raw)} bytes, not a whole number of records of {_RECORD}")
    records = np.frombuffer(raw, np.uint8).reshape(-1, _RECORD)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(np.int64)


def read_npz(path: Path, keys: Iterable[str]) -> dict[str, NDArray[Any]]:
    """The named arrays of an ``.npz`` file."""
    found = load_numpy(path)
    return {key: _member(path, found, key) for key in keys}


def load_numpy(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an ``.npz`` file, or the one of an ``.npy`` file under the empty name."""
    raw = read_bytes(path)
    if not raw.startswith((b"\x93NUMPY", b"PK")):
        raise damaged(path, "is neither an .npy nor an .npz file")
    try:
        loaded = np.load(io.BytesIO(raw), allow_pickle=False)
        return {"": loaded} if isinstance(loaded, np.ndarray) else dict(loaded.items())
    except Exception as error:  # zip, header and length errors are of many kinds; object arrays are a ValueError
        raise damaged(path, f"cannot be read as plain arrays ({type(error).__name__}: {error})") from None


def _member(path: Path, found: dict[str, Any], key: str) -> NDArray[Any]:
    if key not in found:
        there = ", ".join(name for name in found if not name.startswith("__")) or "none of the arrays asked for"
        raise damaged(path, f"has no array '{key}' (it has {there})")
    return np.asarray(found[key])

"""The file of compressed examples: it says what it holds and which run reads it, and a checksum covers every byte.

``RLBITS1\\n``, a little-endian uint32, a JSON header of that many bytes, the stack's 32-bit words, and the SHA-256 of all before it.
"""

import hashlib
import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from ratelab.core.errors import UserError
from ratelab.evaluation.bits_back import Stack

MAGIC = b"RLBITS1\n"
HASH = 32
KEYS = {"run": str, "weights": str, "data": str, "shape": list, "levels": int, "count": int, "lent": int, "words": int}


@dataclass(frozen=True)
class Compressed:
    """``run``: whose model reads it; ``weights``, ``data``: SHA-256 of its parameters' file and of the examples' bytes."""

    run: str
    weights: str
    data: str
    shape: tuple[int, ...]
    levels: int
    stack: Stack

    def to_bytes(self) -> bytes:
        """The file."""
        header = json.dumps({
            "run": self.run, "weights": self.weights, "data": self.data, "shape": list(self.shape), "levels": self.levels,
            "count": self.stack.count, "lent": self.stack.lent, "words": len(self.stack.words),
        }).encode()  # fmt: skip
        body = MAGIC + struct.pack("<I", len(header)) + header + self.stack.words.astype("<u4").tobytes()
        return body + hashlib.sha256(body).digest()

    @classmethod
    def from_bytes(cls, blob: bytes, where: str) -> "Compressed":
        """Read a file; :class:`UserError` for one that is no such file, truncated or altered."""
        if not blob.startswith(MAGIC):
            raise UserError(f"{where}: no file of compressed examples; give one that 'ratelab compress' wrote")
        body, digest = blob[:-HASH], blob[-HASH:]
        if len(blob) < len(MAGIC) + 4 + HASH or hashlib.sha256(body).digest() != digest:
            raise UserError(f"{where}: truncated or altered (its checksum does not fit); get the file again")
        start = len(MAGIC) + 4
        (length,) = struct.unpack("<I", body[len(MAGIC) : start])
        header = _header(body[start : start + length], where)
        words = np.frombuffer(body[start + length :], dtype="<u4").astype(np.uint32)
        if len(words) != header["words"]:
            raise UserError(f"{where}: truncated or altered (its header does not fit); get the file again")
        stack = Stack(words, header["count"], header["lent"])
        return cls(header["run"], header["weights"], header["data"], tuple(header["shape"]), header["levels"], stack)


def _header(text: bytes, where: str) -> dict[str, Any]:
    try:
        header = json.loads(text)
        fits = isinstance(header, dict) and all(isinstance(header.get(key), kind) for key, kind in KEYS.items())
    except ValueError:
        fits = False
    if not fits:
        raise UserError(f"{where}: written by another version of RateLab, or altered; use the version that wrote it")
    found: dict[str, Any] = header
    return found


def digest(blob: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(blob).hexdigest()

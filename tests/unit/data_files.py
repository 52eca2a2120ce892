"""Small files in the official formats, for tests of the readers."""

import gzip
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    """An IDX file of bytes, gzipped if its name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)


def write_mnist(root: Path, name: str = "mnist", train: int = 30, test: int = 10, ending: str = ".gz") -> None:
    """The four files of an MNIST-like data set with random images; label = row modulo 10."""
    stream = np.random.RandomState(0)
    for which, n in (("train", train), ("t10k", test)):
        images = stream.randint(0, 256, size=(n, 28, 28)).astype(np.uint8)
        write_idx(root / name / f"{which}-images-idx3-ubyte{ending}", images)
        write_idx(root / name / f"{which}-labels-idx1-ubyte{ending}", (np.arange(n) % 10).astype(np.uint8))


def amat(images: NDArray[np.uint8]) -> bytes:
    """(N, D) zeros and ones as the text of Larochelle and Murray."""
    return b"".join(b" ".join(b"%d" % v for v in row) + b"\n" for row in images)


def cifar_records(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> bytes:
    """(N, 3, 32, 32) images as records of the binary version."""
    return np.concatenate([labels[:, None], images.reshape(len(images), -1)], axis=1).astype(np.uint8).tobytes()


def picture(path: Path, pixels: NDArray[np.uint8], **options: object) -> None:
    """A picture file from (H, W) or (H, W, 3) bytes."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)

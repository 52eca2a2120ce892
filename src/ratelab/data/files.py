"""Finding the files of a data set, compressed or not, and reading their bytes."""

import gzip
import lzma
import os
import zlib
from pathlib import Path
from typing import IO, cast

from ratelab.core.errors import UserError
from ratelab.data.registry import how_to_get

SUFFIXES = ("", ".gz", ".xz")


def data_root(folder: Path | None = None) -> Path:
    """The folder of data sets: the one given, else ``RATELAB_DATA``, else the user's cache."""
    if folder is not None:
        return Path(folder)
    if os.environ.get("RATELAB_DATA"):
        return Path(os.environ["RATELAB_DATA"]).expanduser()
    import pooch

    return Path(pooch.os_cache("ratelab"))


def find(folder: Path, name: str) -> Path | None:
    """The file ``name`` in ``folder``, plain or compressed; None where there is none."""
    return next((path for path in (folder / (name + suffix) for suffix in SUFFIXES) if path.is_file()), None)


def need(root: Path, dataset: str, name: str, instead: str = "") -> Path:
    """The file ``name`` of a data set; raises :class:`UserError` that says where it was looked for and what to do."""
    path = find(root / dataset, name)
    if path is None:
        raise UserError(
            f"data '{dataset}': no file {name} (nor {name}.gz, {name}.xz) in {root / dataset}; "
            f"{instead or how_to_get(dataset, str(root / dataset))}"
        )
    return path


def read_bytes(path: Path) -> bytes:
    """The content of a file, decompressed if its name ends in ``.gz`` or ``.xz``."""
    try:
        with _open(path) as file:
            return file.read()
    except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise damaged(path, f"cannot be decompressed: {error}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None


def _open(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return cast(IO[bytes], gzip.open(path))
    return lzma.open(path) if path.suffix == ".xz" else path.open("rb")


def damaged(path: Path, what: str) -> UserError:
    """The error for a file that is not what its name says."""
    return UserError(f"{path}: {' '.join(what.split())}; replace it by the original file")

"""Are the files of a data set the official ones? By checksum where one is published, else by content."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ratelab.core.errors import UserError, nearest
from ratelab.data.files import SUFFIXES, damaged, data_root, find, read_bytes
from ratelab.data.formats import read_amat, read_cifar, read_idx, read_mat
from ratelab.data.registry import BORROWED, BY_HAND, REMOTES, RemoteFile

Status = Literal["ok", "missing", "damaged"]

# Lines and mean pixel of the three texts; the means to the last digit, since a fixed data set has a fixed mean.
_STATIC = {"train": (50_000, 0.130562), "valid": (10_000, 0.131127), "test": (10_000, 0.132512)}
_CHARDATA = {"data": (784, 24_345), "testdata": (784, 8_070)}
_IDX_ROWS = {"train": 60_000, "t10k": 10_000}


@dataclass(frozen=True)
class Checked:
    """What was found out about one file; ``detail`` says by what, or what is wrong."""

    file: str
    status: Status
    detail: str = ""


def verify(name: str, folder: Path | None = None) -> list[Checked]:
    """Check every file of data set ``name`` below ``folder`` (None: ``RATELAB_DATA``, else the user's cache).

    An empty list means that the data set has no files. Raises :class:`UserError` for a name without files to check.
    """
    name = BORROWED.get(name, name)
    home = data_root(folder) / name
    if name in BY_HAND:
        return [_present(name, file, home.parent) for file in BY_HAND[name].files]
    if name not in REMOTES:
        raise UserError(f"data '{name}' has no official files to verify{nearest(name, [*REMOTES, *BY_HAND, *BORROWED])}")
    remote = REMOTES[name]
    whole = [check(name, file, home) for file in remote.files]
    parts = [check(name, file, home) for file in remote.parts]
    stand_in = any(c.status == "missing" for c in whole) and any(c.status != "missing" for c in parts)
    return parts if stand_in else whole


def check(name: str, official: RemoteFile, home: Path) -> Checked:
    """Check one official file in the folder of its data set, as it is, compressed or unpacked."""
    path, plain = located(official.name, home), _plain(official.name)
    if path is None:
        return Checked(official.name, "missing")
    try:
        if official.checksum is not None and _same_form(path, official, plain):
            _require_sum(path, official)
            return Checked(path.name, "ok", "checksum")
        _CONTENT[name](path, plain)
        return Checked(path.name, "ok", "content; no checksum is published for it in this form")
    except UserError as error:
        return Checked(path.name, "damaged", str(error))


def located(official: str, home: Path) -> Path | None:
    """The official file in ``home``, as published, compressed or unpacked."""
    return home / official if (home / official).is_file() else find(home, _plain(official))


def by_hand_file(name: str, file: str, root: Path) -> Path | None:
    """A file or folder that the user put there, in the data set's own folder or the one beside it."""
    homes = [root / name, root / (BY_HAND[name].beside or name)]
    return next((home / file for home in homes if (home / file).exists()), None)


def _plain(official: str) -> str:
    """The name under which a file is looked for in all its forms; an archive has one form only."""
    return official if official.endswith(".tar.gz") else official.removesuffix(".gz")


def _same_form(path: Path, official: RemoteFile, plain: str) -> bool:
    """Whether the published sum can be compared: the file as published, or a compressed copy of it."""
    return path.name == official.name or (official.name == plain and path.name in {plain + suffix for suffix in SUFFIXES})


def _require_sum(path: Path, official: RemoteFile) -> None:
    kind, wanted = str(official.checksum).split(":")
    raw = path.read_bytes() if path.name == official.name else read_bytes(path)
    if hashlib.new(kind, raw, usedforsecurity=False).hexdigest() != wanted:
        raise damaged(path, f"its {kind} is not the published {wanted}")


def _present(name: str, file: str, root: Path) -> Checked:
    there = by_hand_file(name, file, root) is not None
    return Checked(file, "ok" if there else "missing", "it is there; no checksum is published" if there else "")


def _static(path: Path, plain: str) -> None:
    which = plain.removeprefix("binarized_mnist_").removesuffix(".amat")
    images, (lines, mean) = read_amat(path, 784), _STATIC[which]
    if len(images) != lines or abs(float(images.mean()) - mean) > 1e-6:
        raise damaged(path, f"has {len(images)} lines of mean {images.mean():.6f}, expected {lines} of {mean:.6f}")


def _chardata(path: Path, plain: str) -> None:
    for key, array in read_mat(path, _CHARDATA).items():
        if array.shape != _CHARDATA[key]:
            raise damaged(path, f"'{key}' has shape {array.shape}, expected {_CHARDATA[key]}")


def _idx(path: Path, plain: str) -> None:
    which, kind = plain.split("-")[:2]
    array = read_idx(path, 3 if kind == "images" else 1)
    if len(array) != _IDX_ROWS[which]:
        raise damaged(path, f"has {len(array)} {kind}, expected {_IDX_ROWS[which]}")


def _cifar(path: Path, plain: str) -> None:
    images, labels = read_cifar(read_bytes(path), path)
    if len(images) != 10_000 or labels.max() > 9:
        raise damaged(path, f"has {len(images)} records with labels up to {labels.max()}, expected 10000 up to 9")


_CONTENT: dict[str, Callable[[Path, str], None]] = {
    "mnist": _idx,
    "fashion-mnist": _idx,
    "static-mnist": _static,
    "omniglot": _chardata,
    "cifar-10": _cifar,
}

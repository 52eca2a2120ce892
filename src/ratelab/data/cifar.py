"""CIFAR-10 from its official binary version (Krizhevsky 2009): the archive, or its batches plain or compressed."""

import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.data.checks import checked_labels, checked_split
from ratelab.data.files import damaged, find, need, read_bytes
from ratelab.data.formats import read_cifar
from ratelab.data.source import Count, Source, hold_out

_LABELS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_ARCHIVE = "cifar-10-binary.tar.gz"
_HELD_OUT = 5


@dataclass(frozen=True, kw_only=True)
class Cifar10(Source):
    """CIFAR-10, 32x32 colour photographs of ten classes in 256 levels, 50 000 + 10 000.

    ``batches``: the training batches to read, 1 to 5; the last ``validation`` images of them are held out. ``test: held-out``
    tests on training batch 5 (then not trained on) where the official test batch is not at hand.
    """

    batches: Annotated[tuple[Annotated[int, Field(ge=1, le=5)], ...], Field(min_length=1)] | None = None
    test: Literal["official", "held-out"] = "official"
    validation: Count = 5_000

    def read(self, root: Path) -> Dataset:
        held_out = self.test == "held-out"
        batches = self.batches or ((1, 2, 3, 4) if held_out else (1, 2, 3, 4, 5))
        if len(set(batches)) < len(batches) or (held_out and _HELD_OUT in batches):
            raise UserError(f"data 'cifar-10': batches {list(batches)} name a batch twice, or batch 5 while it serves as test")
        names = [f"data_batch_{b}.bin" for b in batches] + [f"data_batch_{_HELD_OUT}.bin" if held_out else "test_batch.bin"]
        splits = _read_batches(root, names)
        parts = hold_out("cifar-10", _joined(splits[:-1]), self.validation)
        notes = ["tested on the held-out training batch 5, not on the CIFAR-10 test set"] if held_out else []
        if self.batches is not None and len(batches) < 5:
            notes.append(f"trained on batches {', '.join(map(str, batches))} only")
        return Dataset("cifar-10", Support.LEVELS, *parts, splits[-1], label_names=_LABELS, note="; ".join(notes))


def _read_batches(root: Path, names: list[str]) -> list[Split]:
    folder = next((f for f in (root / "cifar-10", root / "cifar-10" / "cifar-10-batches-bin") if find(f, names[0])), None)
    archive = root / "cifar-10" / _ARCHIVE
    if folder is None and archive.is_file():
        return _from_archive(archive, names)
    instead = (
        "get all with `ratelab data fetch cifar-10`, or name the batches you have, e.g. batches: [1, 2] and test: held-out "
        "(batch 5 as test)"
    )
    paths = [find(folder, name) if folder else None for name in names]
    files = [path or need(root, "cifar-10", name, instead) for path, name in zip(paths, names, strict=True)]
    return [_split(read_bytes(path), path) for path in files]


def _from_archive(archive: Path, names: list[str]) -> list[Split]:
    """The named members, read in the order they lie in the archive (a gzip stream does not jump)."""
    found: dict[str, Split] = {}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = Path(member.name).name
                file = tar.extractfile(member) if member.isfile() and name in names else None
                if file is not None:
                    found[name] = _split(file.read(), archive / name)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise damaged(archive, f"cannot be read as an archive: {error}") from None
    for name in names:
        if name not in found:
            raise damaged(archive, f"has no member {name}")
    return [found[name] for name in names]


def _split(raw: bytes, path: Path) -> Split:
    images, labels = read_cifar(raw, path)
    where = f"data 'cifar-10' ({path})"
    return checked_split(images, checked_labels(labels, where, classes=10), Support.LEVELS, where)


def _joined(splits: list[Split]) -> Split:
    labels = [split.y for split in splits if split.y is not None]
    return Split(np.concatenate([split.x for split in splits]), np.concatenate(labels))

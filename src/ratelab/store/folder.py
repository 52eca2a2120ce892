"""One run's folder: what lies where, and who may write to it."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ratelab.core.errors import UserError
from ratelab.store.documents import read_provenance, read_recipe, read_results
from ratelab.store.files import make_folder, write_file, write_json
from ratelab.store.lock import held, owned
from ratelab.store.log import Row, append_row, flush_log, keep_epochs, last_row, read_rows
from ratelab.store.tensors import read_npz, read_safetensors, sealed, write_npz

RUN_ID = re.compile(r"[0-9a-f]{12}")
_PICTURE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class RunFolder:
    """``STORE/ID/``: ``recipe.json``, ``provenance.json``, ``log.jsonl``, ``model.safetensors``, ``checkpoint.safetensors``,
    ``results.json``, ``per_example.npz``, ``pictures/NAME.png``, ``arrays/NAME.npz`` and ``lock``.

    Every file but the log is replaced as a whole. Reading raises :class:`UserError` naming a missing or damaged file.
    """

    def __init__(self, path: Path) -> None:
        if not RUN_ID.fullmatch(path.name):
            raise UserError(f"'{path.name}' is no run id (12 hexadecimal digits)")
        self.path, self.id = path, path.name
        self._again = f"delete the folder {path} and train the run again"
        self._anew = (
            f"delete {path / 'results.json'} and give the run's train command again: the trained model is evaluated again, without"
            " what 'ratelab evaluate' added"
        )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Own the folder while the block runs; raises :class:`Busy` at once where another process does.

        The lock is the kernel's: when its owner dies it is free. What a dead owner left half written is removed.
        """
        with owned(self.path, f"run {self.id}"):
            yield

    def held(self) -> bool:
        """A live process is making the run now."""
        return held(self.path)

    def exists(self) -> bool:
        """The run has been started."""
        return (self.path / "recipe.json").is_file()

    def write_recipe(self, recipe: Mapping[str, Any]) -> None:
        write_json(self.path / "recipe.json", recipe)

    def recipe(self) -> dict[str, Any]:
        return read_recipe(self.path / "recipe.json", self._again)

    def write_provenance(self, provenance: Mapping[str, Any]) -> None:
        write_json(self.path / "provenance.json", provenance)

    def provenance(self) -> dict[str, Any]:
        """Where the run was made; empty before it started."""
        path = self.path / "provenance.json"
        return read_provenance(path, "delete it; the numbers of the run do not need it") if path.is_file() else {}

    def append_log(self, row: Row) -> None:
        append_row(self.path / "log.jsonl", row)

    def log(self) -> list[dict[str, Any]]:
        """One row per epoch; a last row cut short by a kill is left out."""
        return read_rows(self.path / "log.jsonl")

    def last_row(self) -> dict[str, Any] | None:
        """The last whole row of :meth:`log`, without reading the others; None where there is none yet."""
        return last_row(self.path / "log.jsonl")

    def keep_log(self, epoch: int) -> None:
        """Drop the rows after ``epoch``."""
        keep_epochs(self.path / "log.jsonl", epoch)

    def write_checkpoint(self, blob: bytes) -> None:
        """Replace the training state; the log's rows reach the disk before it."""
        flush_log(self.path / "log.jsonl")
        write_file(self.path / "checkpoint.safetensors", sealed(blob))

    def has_checkpoint(self) -> bool:
        return (self.path / "checkpoint.safetensors").is_file()

    def checkpoint(self) -> bytes:
        return read_safetensors(self.path / "checkpoint.safetensors", self._again)

    def write_weights(self, blob: bytes) -> None:
        write_file(self.path / "model.safetensors", sealed(blob))

    def weights(self) -> bytes:
        return read_safetensors(self.path / "model.safetensors", self._again)

    def write_results(self, results: Mapping[str, Any]) -> None:
        write_json(self.path / "results.json", results)

    def results(self) -> dict[str, Any] | None:
        """The content of ``results.json``, or None while the run has none."""
        path = self.path / "results.json"
        return read_results(path, self._anew) if path.is_file() else None

    def write_per_example(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        write_npz(self.path / "per_example.npz", arrays)

    def per_example(self) -> dict[str, NDArray[np.generic]]:
        path = self.path / "per_example.npz"
        return read_npz(path, self._anew)

    def write_arrays(self, name: str, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Keep what a figure was computed from as ``arrays/NAME.npz``; names are those of pictures."""
        make_folder(self.path / "arrays")
        write_npz(self._arrays(name), arrays)

    def arrays(self, name: str) -> dict[str, NDArray[np.generic]]:
        """What :meth:`write_arrays` kept under this name; empty where there is nothing."""
        path = self._arrays(name)
        return read_npz(path, f"delete {path} and it is computed again") if path.is_file() else {}

    def _arrays(self, name: str) -> Path:
        if not _PICTURE.fullmatch(name):
            raise UserError(f"'{name}' is no name of arrays; use lower-case letters, digits, '-' and '_'")
        return self.path / "arrays" / f"{name}.npz"

    def write_picture(self, name: str, png: bytes) -> None:
        """Keep a picture as ``pictures/NAME.png``; names are lower-case letters, digits, ``-`` and ``_``."""
        make_folder(self.path / "pictures")
        write_file(self._picture(name), png)

    def pictures(self) -> dict[str, Path]:
        """The pictures' files, by name."""
        return {path.stem: path for path in sorted((self.path / "pictures").glob("*.png")) if _PICTURE.fullmatch(path.stem)}

    def _picture(self, name: str) -> Path:
        if not _PICTURE.fullmatch(name):
            raise UserError(f"'{name}' is no picture name; use lower-case letters, digits, '-' and '_'")
        return self.path / "pictures" / f"{name}.png"

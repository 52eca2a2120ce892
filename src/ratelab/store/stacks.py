"""Runs that are trained side by side: who was stacked with whom, and their common training state.

A stack that was killed goes on as the same stack, so the state of all its members lies in one file that is replaced as a whole: at no
moment is one member an epoch ahead of another.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ratelab.store.files import make_folder, read_json, write_file, write_json
from ratelab.store.lock import owned
from ratelab.store.tensors import read_safetensors, sealed

FOLDER = "stacks"


class StackFolder:
    """``STORE/stacks/ID/``: ``members.json``, ``checkpoint.safetensors`` while a member is still training, and ``lock``.

    ``members``: the ids of the runs, in their order in the stack, on which the stack's own id depends.
    """

    def __init__(self, store: Path, members: Sequence[str]) -> None:
        self.members = tuple(members)
        self.id = hashlib.sha256(",".join(members).encode()).hexdigest()[:12]
        self.path = store / FOLDER / self.id
        self._checkpoint = self.path / "checkpoint.safetensors"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Own the stack while the block runs; raises :class:`~ratelab.store.Busy` at once where another process does."""
        with owned(self.path, f"stack {self.id}"):
            yield

    def write_checkpoint(self, blob: bytes) -> None:
        """Replace the members' common state; from the first one on the store remembers who is stacked with whom."""
        make_folder(self.path)
        if not (self.path / "members.json").is_file():
            write_json(self.path / "members.json", {"members": list(self.members)})
        write_file(self._checkpoint, sealed(blob))

    def has_checkpoint(self) -> bool:
        """Some members are still to be trained."""
        return self._checkpoint.is_file()

    def checkpoint(self) -> bytes:
        return read_safetensors(self._checkpoint, f"delete the folder {self.path} and its runs start anew")

    def drop_checkpoint(self) -> None:
        """Every member has left the stack with a state of its own."""
        with suppress(FileNotFoundError):
            self._checkpoint.unlink()


def unfinished_stacks(store: Path) -> list[StackFolder]:
    """The stacks of a store that were left with members still to be trained, the last one first."""
    found = []
    left = (store / FOLDER).glob("*/checkpoint.safetensors")
    for path in sorted(left, key=lambda path: (-path.stat().st_mtime_ns, path)):
        members = read_json(path.with_name("members.json"), f"delete the folder {path.parent} and its runs start anew")
        found.append(StackFolder(store, [str(run) for run in members.get("members", [])]))
    return found

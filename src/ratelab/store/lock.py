"""One owner for a folder at a time. The lock is the kernel's: when its owner dies it is free."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ratelab.core.errors import UserError
from ratelab.store.files import make_folder, sweep_up, writing

GLANCE = 0.05  # seconds


class Busy(UserError):
    """Another live process holds the lock."""


@contextmanager
def owned(folder: Path, what: str) -> Iterator[None]:
    """Own a folder while the block runs; raises :class:`Busy`, naming ``what`` it holds, at once where another process does.

    What a dead owner left half written is removed.
    """
    make_folder(folder)
    lock = FileLock(folder / "lock", timeout=GLANCE, poll_interval=GLANCE / 4)  # longer than someone's :func:`held`
    with writing(folder / "lock"):
        try:
            lock.acquire()
        except Timeout:  # an OSError too, but no trouble with the disk
            raise Busy(f"{what} is being made by another process; wait until it is done, or stop that one") from None
    try:
        sweep_up(folder)
        yield
    finally:
        lock.release()


def held(folder: Path) -> bool:
    """Whether a live process owns a folder; looking takes the lock for an instant where nobody has it."""
    if not (folder / "lock").is_file():
        return False
    lock = FileLock(folder / "lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        return True
    except OSError:
        return False  # a store that may only be read
    with suppress(OSError):
        lock.release()
    return False

"""One owner for a folder at a time. The lock is the kernel's: when its owner dies it is free."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ratelab.core.errors import UserError
from ratelab.store.files import make_folder, sweep_up, writing

GLANCE = 0.05  # seconds
READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


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
    """Whether a live process owns a folder; looking takes the lock for an instant where nobody has it.

    Raises :class:`UserError` where the disk does not say.
    """
    lock = folder / "lock"
    if not lock.is_file():
        return False
    with writing(lock):
        try:
            with FileLock(lock, blocking=False):
                return False
        except Timeout:
            return True
        except FileNotFoundError:  # removed since
            return False
        except OSError as error:
            if error.errno not in READ_ONLY:
                raise
            return _held_by_others(lock)


def _held_by_others(lock: Path) -> bool:
    """The same in a store that may only be read: a shared lock does not ask for the right to write."""
    import fcntl

    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False

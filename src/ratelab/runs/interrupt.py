"""Ctrl-C between epochs: the first one asks a training to save and stop, the second one stops it at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

Stop = Callable[[], bool]


class _Announced:
    """Handles Ctrl-C as Python does, after telling once that it was heard."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self.waiting: list[Callable[[], None]] = [tell]

    def tell(self) -> None:
        while self.waiting:
            with suppress(RuntimeError):  # Ctrl-C may come in the middle of a line that is being written
                self.waiting.pop()()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.tell()
        raise KeyboardInterrupt


@contextmanager
def announced(tell: Callable[[], None]) -> Iterator[None]:
    """While the block runs, the first Ctrl-C calls ``tell`` at once; stopping itself may take until the end of an epoch."""
    with _handling(signal.default_int_handler, _Announced(tell)):
        yield


@contextmanager
def patient() -> Iterator[Stop]:
    """While the block runs, Ctrl-C makes the yielded function true; a second one raises :class:`KeyboardInterrupt`.

    Only the main thread of a process sees Ctrl-C, and a program that handles it in its own way goes on doing so.
    """
    asked = threading.Event()
    earlier = signal.getsignal(signal.SIGINT)

    def ask(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        if isinstance(earlier, _Announced):
            earlier.tell()

    with _handling(earlier if isinstance(earlier, _Announced) else signal.default_int_handler, ask):
        yield asked.is_set


@contextmanager
def _handling(replaced: object, handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle Ctrl-C by ``handler`` where ``replaced`` handles it now, in the main thread."""
    earlier = signal.getsignal(signal.SIGINT)
    ours = threading.current_thread() is threading.main_thread() and earlier is replaced
    if ours:
        signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, earlier)

"""Work that goes one step after another and takes long, and somebody who may want to watch it.

Drawing an image pixel after pixel happens deep inside a law, and annealing deep inside an estimator, which are no places for a progress
bar: they say how far they are, and whoever began the work may listen.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Watcher = Callable[[int, int], None]
"""Told after each step how many steps are done, and of how many."""

_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched(by: Watcher) -> Iterator[None]:
    """Inside, ``by`` hears of every step of :func:`one_by_one`.

    >>> with watched(lambda done, total: print(f"{done}/{total}")):
    ...     rows = [row for row in one_by_one(2)]
    1/2
    2/2
    """
    token = _watcher.set(by)
    try:
        yield
    finally:
        _watcher.reset(token)


def one_by_one(steps: int) -> Iterator[int]:
    """``range(steps)``, with word to the watcher after each step where there is one."""
    watcher = _watcher.get()
    for step in range(steps):
        yield step
        if watcher is not None:
            watcher(step + 1, steps)

"""What a sweep's worker process does: one run or one stack at a time, on one thread, stopping when told to or when its parent is gone."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from multiprocessing.connection import wait
from multiprocessing.synchronize import Event
from pathlib import Path

import torch

from ratelab.runs.circumstances import Circumstances
from ratelab.runs.execute import attempt
from ratelab.runs.recipe import Recipe
from ratelab.runs.results import Results
from ratelab.runs.stacked import attempt_together
from ratelab.store import Busy, Store

_stop: Event | None = None


def start(stop: Event) -> None:
    """Prepare a worker: Ctrl-C is the parent's to handle, which then sets ``stop``."""
    global _stop
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    """End this process once its parent was killed: nobody would collect the result, and the lock must become free."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def work(job: Sequence[Recipe], resumed: Sequence[str], store: Path, circumstances: Circumstances) -> dict[str, Results]:
    """Make the runs of a job, several as one stack; those that another process is making are left out, and all when the sweep stops.

    ``resumed``: the members of the unfinished stack that the job goes on with.
    """
    assert _stop is not None
    if _stop.is_set():
        return {}
    if len(job) > 1 or resumed:
        return attempt_together(job, Store(store), circumstances, resumed, _stop.is_set)
    try:
        results = attempt(job[0], Store(store), circumstances, _stop.is_set)
    except (Busy, KeyboardInterrupt):
        return {}
    return {results["run"]: results}

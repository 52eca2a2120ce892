"""Worker processes on this machine, one thread each. They end with their parent; when one is killed the pool is built anew."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path

import torch

from ratelab.runs.circumstances import Circumstances
from ratelab.runs.engines.engine import Engine, Lost, Made, Task
from ratelab.runs.engines.make import make
from ratelab.runs.recipe import Recipe

_stop: Event | None = None


class LocalEngine(Engine):
    """A pool of processes. A broken pool does not tell which task broke it."""

    one_fate = True

    def __init__(self, store: Path, circumstances: Circumstances, workers: int) -> None:
        self.store, self.circumstances, self.workers = store, circumstances, workers
        self.context = multiprocessing.get_context("spawn")
        self.stop = self.context.Event()
        self.strangers = set(multiprocessing.active_children())
        self.pool: ProcessPoolExecutor | None = None
        cores = available_cores()
        if workers > cores:
            self.said = (f"{workers} workers share {cores} core(s): more than one for each core gain nothing",)

    def slots(self) -> int:
        return self.workers

    def submit(self, task: Task) -> Future[Made]:
        arguments = (list(task.runs.values()), task.resumed, self.store, self.circumstances)
        try:
            inner = self._alive().submit(_work, *arguments)
        except BrokenProcessPool:
            self.close()
            inner = self._alive().submit(_work, *arguments)
        outer: Future[Made] = Future()
        inner.add_done_callback(lambda done: _pass_on(done, outer))
        return outer

    def halt(self) -> None:
        self.stop.set()
        try:
            self.close()
        except BaseException:
            for process in self._processes():
                process.kill()
            raise

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown(wait=True, cancel_futures=True)
        self.pool = None

    def _alive(self) -> ProcessPoolExecutor:
        if self.pool is None:
            self.pool = ProcessPoolExecutor(self.workers, self.context, _start, (self.stop,))
        return self.pool

    def _processes(self) -> list[BaseProcess]:
        return [process for process in multiprocessing.active_children() if process not in self.strangers]


def available_cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _pass_on(inner: Future[Made], outer: Future[Made]) -> None:
    if inner.cancelled():
        outer.set_result({})
        return
    error = inner.exception()
    if isinstance(error, BrokenProcessPool):
        outer.set_exception(Lost("its worker process died"))
    elif error is not None:
        outer.set_exception(error)
    else:
        outer.set_result(inner.result())


def _start(stop: Event) -> None:
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


def _work(recipes: Sequence[Recipe], resumed: Sequence[str], store: Path, circumstances: Circumstances) -> Made:
    assert _stop is not None
    return make(recipes, resumed, store, circumstances, _stop.is_set)

"""Many runs on this machine: a pool of worker processes that outlives failed runs and killed workers.

Several sweeps may share a store: each run is made once, by whoever locks it first, and every sweep returns all its results.
"""

import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.process import BaseProcess

from ratelab.core.errors import UserError
from ratelab.runs import worker
from ratelab.runs.circumstances import Circumstances
from ratelab.runs.execute import Run, fail, reason
from ratelab.runs.recipe import Recipe
from ratelab.runs.results import Results, finished
from ratelab.runs.together import Together, choose
from ratelab.store import Store, unfinished_stacks

TRIES = 3
PATIENCE = 0.5  # seconds between looks at a run that another process is making
OnResult = Callable[[int, int, Results], None]
OnChoice = Callable[[str], None]


@dataclass
class Job:
    """One run of a sweep, or several that are made as one; ``resumed`` are the members of the unfinished stack that they go on with.

    ``lost`` counts the workers that died while they had it; ``after`` is when to look again.
    """

    runs: dict[str, Recipe]
    resumed: tuple[str, ...] = ()
    lost: int = 0
    after: float = 0.0

    def apart(self) -> list["Job"]:
        """The job in two halves, which need half the memory; a single run stays what it is."""
        names = list(self.runs)
        if len(names) == 1:
            return [self]
        return [
            Job({name: self.runs[name] for name in part}, lost=self.lost)
            for part in (names[: len(names) // 2], names[len(names) // 2 :])
        ]


class Sweep:
    """The runs of one sweep and how far they are. Only as many jobs as workers are ever handed out, so that a broken
    pool tells which runs may have broken it; a run that was lost twice is tried a last time alone."""

    def __init__(
        self,
        recipes: Sequence[Recipe],
        store: Store,
        circumstances: Circumstances,
        workers: int,
        together: Together,
        on_result: OnResult | None,
        on_choice: OnChoice | None,
    ) -> None:
        self.store, self.circumstances, self.workers, self.on_result = store, circumstances, workers, on_result
        runs = {run.folder.id: run.recipe for run in (Run(recipe, store, circumstances) for recipe in recipes)}
        self.order = list(runs)
        self.results: dict[str, Results] = {}
        self.waiting = deque(self._jobs(runs, together, on_choice))
        self.flying: dict[Future[dict[str, Results]], Job] = {}
        self.context = multiprocessing.get_context("spawn")
        self.stop = self.context.Event()
        self.strangers = set(multiprocessing.active_children())
        self.pool: ProcessPoolExecutor | None = None

    def _jobs(self, runs: Mapping[str, Recipe], together: Together, on_choice: OnChoice | None) -> list[Job]:
        """Runs that are finished one by one, unfinished stacks as they were, the rest as chosen."""
        over = {run: recipe for run, recipe in runs.items() if self._finished(run) is not None}
        jobs = [Job({run: recipe}) for run, recipe in over.items()]
        left = {run: recipe for run, recipe in runs.items() if run not in over}
        for stack in unfinished_stacks(self.store.path):
            members = {run: left.pop(run) for run in stack.members if run in left}
            if members:
                jobs.append(Job(members, resumed=stack.members))
                self._tell(on_choice, f"{len(members)} run(s) go on as the stack they were")
        for choice in choose(left, self.circumstances, self.workers, together):
            jobs += [Job({run: left[run] for run in stack}) for stack in choice.stacks]
            self._tell(on_choice, choice.why)
        return jobs

    def _tell(self, on_choice: OnChoice | None, why: str) -> None:
        if on_choice is not None:
            on_choice(why)

    def run(self) -> list[Results]:
        """Make all runs; on Ctrl-C the workers save their state and stop before :class:`KeyboardInterrupt` goes on."""
        try:
            while self.waiting or self.flying:
                self._hand_out()
                self._collect()
        except BaseException:
            self._halt()
            raise
        self._close()
        return [self.results[run] for run in self.order]

    def _hand_out(self) -> None:
        """Give free workers the next runs; take the results of those that are finished already."""
        for _ in range(len(self.waiting)):
            job = self.waiting.popleft()
            self._keep_finished(job)
            if not job.runs:
                continue
            if self._may_start(job):
                self._submit(job)
            else:
                self.waiting.append(job)

    def _may_start(self, job: Job) -> bool:
        alone = job.lost >= TRIES - 1 or any(other.lost >= TRIES - 1 for other in self.flying.values())
        return len(self.flying) < (1 if alone else self.workers) and time.monotonic() >= job.after

    def _submit(self, job: Job) -> None:
        if self.pool is None:
            self.pool = ProcessPoolExecutor(self.workers, self.context, worker.start, (self.stop,))
        try:
            future = self.pool.submit(worker.work, list(job.runs.values()), job.resumed, self.store.path, self.circumstances)
        except BrokenProcessPool:
            self._rebuild()
            self.waiting.append(job)
        else:
            self.flying[future] = job

    def _collect(self) -> None:
        """Wait for a worker, or a moment for other processes, and deal with what came back."""
        if not self.flying:
            time.sleep(PATIENCE if self.waiting else 0.0)
            return
        done, _ = wait(self.flying, timeout=PATIENCE, return_when=FIRST_COMPLETED)
        broken = any(isinstance(future.exception(), BrokenProcessPool) for future in done)
        for future in list(self.flying) if broken else done:
            self._settle(future, self.flying.pop(future))
        if broken:
            self._rebuild()

    def _settle(self, future: Future[dict[str, Results]], job: Job) -> None:
        error = future.exception()
        if isinstance(error, BrokenProcessPool):
            job.lost += 1
            if job.lost < TRIES:
                self.waiting.extend([job] if job.lost == 1 else job.apart())
            else:
                self._fail(job, f"its worker process died {TRIES} times (killed, or out of memory)")
        elif error is not None:
            self._fail(job, reason(error))
        else:
            for run, results in future.result().items():
                del job.runs[run]
                self._keep(run, results)
            job.after = time.monotonic() + PATIENCE
            if job.runs:
                self.waiting.append(job)

    def _keep_finished(self, job: Job) -> None:
        for run in list(job.runs):
            results = self._finished(run)
            if results is not None:
                del job.runs[run]
                self._keep(run, results)

    def _finished(self, run: str) -> Results | None:
        try:
            return finished(self.store.run(run))
        except UserError:
            return None  # a damaged file is the worker's to report

    def _fail(self, job: Job, why: str) -> None:
        for run, recipe in job.runs.items():
            self._keep(run, fail(recipe, self.store, run, why))

    def _keep(self, run: str, results: Results) -> None:
        self.results[run] = results
        if self.on_result is not None:
            self.on_result(len(self.results), len(self.order), results)

    def _rebuild(self) -> None:
        self._close()
        self.pool = None

    def _close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown(wait=True, cancel_futures=True)

    def _halt(self) -> None:
        """Let the workers save and stop; a second Ctrl-C ends them at once."""
        self.stop.set()
        try:
            self._close()
        except BaseException:
            for process in self._workers():
                process.kill()
            raise

    def _workers(self) -> list[BaseProcess]:
        return [process for process in multiprocessing.active_children() if process not in self.strangers]


def sweep(
    recipes: Sequence[Recipe],
    store: Store,
    circumstances: Circumstances | None = None,
    *,
    workers: int | None = None,
    together: Together = "auto",
    on_result: OnResult | None = None,
    on_choice: OnChoice | None = None,
) -> list[Results]:
    """Make every run that the store lacks and return the results of all, in the order of ``recipes``, each run once.

    ``workers``: processes, by default one per core and never more than there are runs. ``together``: how many runs of networks that
    are alike one process trains as one; ``auto`` picks from the network and the machine, and ``on_choice`` is told what and why. It
    changes no run's identity, and results by no more than float32 rounding. ``on_result(done, total, results)`` is called as runs end.
    A run that fails is among the results with status ``failed`` and its ``why``, and is tried again by the next sweep.
    Raises :class:`UserError` where there is nothing to run, or the data of a recipe cannot be had.
    """
    if not recipes:
        raise UserError("the sweep has no runs; give at least one value for every key")
    if workers is not None and workers < 1:
        raise UserError(f"workers: {workers} is too few; give at least 1")
    count = min(workers or available_cores(), len(recipes))
    return Sweep(recipes, store, circumstances or Circumstances(), count, together, on_result, on_choice).run()


def available_cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

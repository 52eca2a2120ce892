"""Many runs: handed to an engine job by job, past failed runs and lost workers.

Several sweeps may share a store: each run is made once, by whoever locks it first, and every sweep returns all its results.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from typing import Any

from ratelab.core.errors import UserError
from ratelab.runs.circumstances import Circumstances
from ratelab.runs.code import named_code
from ratelab.runs.engines import Engine, Lost, Made, Task, Unseen, check_name, open_engine
from ratelab.runs.execute import Run, fail, reason
from ratelab.runs.recipe import Recipe
from ratelab.runs.results import Results, finished
from ratelab.runs.together import Together, choose, kind
from ratelab.runs.trained import subjects
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
    """The runs of one sweep and how far they are. Only as many jobs as the engine has slots are ever handed out, so that where workers
    share their fate a dead one tells which runs may have killed it; a run that was lost twice is tried a last time alone."""

    def __init__(
        self,
        runs: Mapping[str, Recipe],
        store: Store,
        circumstances: Circumstances,
        engine: Engine,
        together: Together,
        on_result: OnResult | None,
        on_choice: OnChoice | None,
    ) -> None:
        self.store, self.circumstances, self.engine, self.on_result = store, circumstances, engine, on_result
        self.order = list(runs)
        self.results: dict[str, Results] = {}
        for line in engine.said:
            self._tell(on_choice, line)
        self.waiting = deque(self._jobs(runs, together, on_choice))
        self.flying: dict[Future[Made], Job] = {}

    def _jobs(self, runs: Mapping[str, Recipe], together: Together, on_choice: OnChoice | None) -> list[Job]:
        """Runs that are finished one by one, unfinished stacks as they were, the rest as chosen."""
        over = {run: recipe for run, recipe in runs.items() if results_of(self.store, run) is not None}
        jobs = [Job({run: recipe}) for run, recipe in over.items()]
        left = {run: recipe for run, recipe in runs.items() if run not in over}
        for stack in unfinished_stacks(self.store.path):
            members = {run: left.pop(run) for run in stack.members if run in left}
            if members:
                jobs.append(Job(members, resumed=stack.members))
                self._tell(on_choice, f"{len(members)} run(s) go on as the stack they were")
        workers = max(1, min(self.engine.slots(), len(runs)))
        for choice in choose(left, self.circumstances, workers, together, subjects(self.store.path, self.circumstances)):
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
            self.engine.halt()
            raise
        return [self.results[run] for run in self.order]

    def _hand_out(self) -> None:
        """Give free workers the next runs; take the results of those that are finished already."""
        for _ in range(len(self.waiting)):
            if len(self.flying) >= self.engine.slots():
                return
            job = self.waiting.popleft()
            self._keep_finished(job)
            if not job.runs:
                continue
            if self._may_start(job):
                self.flying[self.engine.submit(Task(dict(job.runs), job.resumed))] = job
            else:
                self.waiting.append(job)

    def _may_start(self, job: Job) -> bool:
        alone = job.lost >= TRIES - 1 or any(other.lost >= TRIES - 1 for other in self.flying.values())
        slots = 1 if alone and self.engine.one_fate else self.engine.slots()
        return len(self.flying) < slots and time.monotonic() >= job.after

    def _collect(self) -> None:
        """Wait for a worker, or a moment for other processes, and deal with what came back."""
        if not self.flying:
            time.sleep(PATIENCE if self.waiting else 0.0)
            return
        done, _ = wait(self.flying, timeout=PATIENCE, return_when=FIRST_COMPLETED)
        broken = self.engine.one_fate and any(isinstance(future.exception(), Lost) for future in done)
        for future in list(self.flying) if broken else done:
            self._settle(future, self.flying.pop(future))

    def _settle(self, future: Future[Made], job: Job) -> None:
        error = future.exception()
        if isinstance(error, Unseen):
            raise error
        if isinstance(error, Lost):
            self._try_again(job, error)
        elif error is not None:
            self._fail(job, reason(error))
        else:
            for run, results in future.result().items():
                del job.runs[run]
                self._keep(run, results)
            job.after = time.monotonic() + PATIENCE
            if job.runs:
                self.waiting.append(job)

    def _try_again(self, job: Job, loss: Lost) -> None:
        job.lost += not loss.innocent
        if job.lost < TRIES:
            self.waiting.extend([job] if job.lost <= 1 else job.apart())
        else:
            self._fail(job, f"{loss} {TRIES} times (killed, or out of memory)")

    def _keep_finished(self, job: Job) -> None:
        for run in list(job.runs):
            results = results_of(self.store, run)
            if results is not None:
                del job.runs[run]
                self._keep(run, results)

    def _fail(self, job: Job, why: str) -> None:
        for run, recipe in job.runs.items():
            self._keep(run, fail(recipe, self.store, run, why))

    def _keep(self, run: str, results: Results) -> None:
        self.results[run] = results
        if self.on_result is not None:
            self.on_result(len(self.results), len(self.order), results)


def results_of(store: Store, run: str) -> Results | None:
    """The results of a run that needs no more work."""
    try:
        return finished(store.run(run))
    except UserError:
        return None  # a damaged file is the worker's to report


def check_some_fit(runs: Mapping[str, Recipe], store: Store, under: Circumstances) -> None:
    """:class:`UserError` where the parts of no run fit each other or the data: the mistake is the whole sweep's, and nothing is begun."""
    on_cpu, mistakes = replace(under, device="cpu"), []
    for recipe in {kind(recipe): recipe for recipe in runs.values()}.values():
        if any(named_code(recipe.document())):
            return  # code of your own runs in the workers alone
        try:
            Run(recipe, store, on_cpu).check()
        except UserError as error:
            mistakes.append(error)
        except Exception:  # no user's mistake: the run itself reports it
            return
        else:
            return
    raise mistakes[0]


def sweep(
    recipes: Sequence[Recipe],
    store: Store,
    circumstances: Circumstances | None = None,
    *,
    workers: int | None = None,
    together: Together = "auto",
    engine: str = "local",
    options: Mapping[str, Any] | None = None,
    on_result: OnResult | None = None,
    on_choice: OnChoice | None = None,
) -> list[Results]:
    """Make every run that the store lacks and return the results of all, in the order of ``recipes``, each run once.

    ``workers``: how many train side by side, by default one for each core, or as many as the engine has room for, and never more than
    there are runs. ``together``: how many runs of networks that are alike one worker trains as one; ``auto`` picks from the network and
    the machine. ``engine``: ``local`` (processes of this machine), ``ray`` or ``slurm``, whose machines share the store's path;
    ``options`` are the engine's. ``on_choice`` is told what was picked and why. None of these changes a run's identity, and results change
    by no more than float32 rounding. ``on_result(done, total, results)`` is called as runs end.
    A run that fails is among the results with status ``failed`` and its ``why``, and is tried again by the next sweep.
    Raises :class:`UserError` where there is nothing to run, the data of a recipe cannot be had, no run's parts fit each other, or the
    engine cannot work.
    """
    if not recipes:
        raise UserError("the sweep has no runs; give at least one value for every key")
    if workers is not None and workers < 1:
        raise UserError(f"workers: {workers} is too few; give at least 1")
    check_name(engine)
    under = circumstances or Circumstances()
    here = under if engine == "local" else replace(under, device="auto")  # the driver may have no GPU
    runs = {run.folder.id: run.recipe for run in (Run(recipe, store, here) for recipe in recipes)}
    over = all(results_of(store, run) is not None for run in runs)
    if not over:
        check_some_fit(runs, store, under)
    opened = open_engine("local" if over else engine, {} if over else options or {}, store.path, under, workers, len(runs))
    try:
        return Sweep(runs, store, here, opened, together, on_result, on_choice).run()
    finally:
        opened.close()

"""Slurm jobs through submitit, which also runs them on this machine (``cluster=local``). Needs the extra ``slurm``.

Jobs outlive a driver that dies; one that is preempted or out of time is queued again and goes on from its last state. submitit passes
calls through pickled files in ``STORE/slurm/``: ours hold nothing but text.
"""

import shutil
import threading
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ratelab.core.errors import UserError
from ratelab.runs.circumstances import Circumstances
from ratelab.runs.engines.engine import Engine, Lost, Made, Task
from ratelab.runs.engines.remote import answered, carry_out, on_workers, order
from ratelab.store import Sign

JOBS = 8  # at a time, where the user does not say
LOOKS = {"slurm": 5.0, "local": 0.2}  # seconds between looks at the jobs


class SlurmOptions(BaseModel):
    """What each job asks for. ``cluster``: slurm, or local to try the same on this machine."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    cluster: Literal["slurm", "local"] = "slurm"
    partition: str | None = None
    account: str | None = None
    minutes: Annotated[int, Field(ge=1, le=10**6)] = 240
    cpus: Annotated[int, Field(ge=1, le=1024)] = 1
    gpus: Annotated[int, Field(ge=0, le=1024)] = 0
    memory: Annotated[float, Field(gt=0, le=10**5)] = 4.0


class Attempt:
    """The call that a job makes; what submitit is to do when the job is cut short: the same again."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __call__(self) -> str:
        return carry_out(self.text)

    def checkpoint(self) -> Any:
        """Called by submitit on the signal that ends a job early."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(Attempt(self.text))


class SlurmEngine(Engine):
    """One job for each task, looked at by one thread."""

    def __init__(self, store: Path, circumstances: Circumstances, workers: int | None, options: SlurmOptions) -> None:
        self.executor = _executor(store, options)
        self.store, self.workers, self.options = store, workers or JOBS, options
        self.circumstances = on_workers(circumstances, options.gpus)
        self.jobs: dict[Future[str], Any] = {}
        self.flying: set[Future[Made]] = set()
        self.over = threading.Event()
        self.sign = Sign.put_up(store)
        threading.Thread(target=self._look, daemon=True).start()

    def slots(self) -> int:
        return self.workers

    def submit(self, task: Task) -> Future[Made]:
        inner: Future[str] = Future()
        text = order(task, self.store, self.circumstances, self.sign, self.options.cpus)
        try:
            job = self.executor.submit(Attempt(text))
        except Exception as error:  # sbatch says no in many ways
            line = next((line for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
            raise UserError(f"Slurm does not take the job: {line.strip()}") from None
        future = answered(inner, self.store, self._meaning)
        self.flying.add(future)
        future.add_done_callback(self.flying.discard)
        self.jobs[inner] = job
        return future

    def halt(self) -> None:
        self.sign.take_down()
        try:
            wait(list(self.flying))
        except BaseException:
            for job in list(self.jobs.values()):
                job.cancel()
            raise
        finally:
            self.close()

    def close(self) -> None:
        self.sign.take_down()
        self.over.set()

    def _look(self) -> None:
        while not self.over.wait(LOOKS[self.options.cluster]):
            for inner, job in list(self.jobs.items()):
                if job.done():
                    del self.jobs[inner]
                    _settle(inner, job)

    def _meaning(self, error: BaseException) -> BaseException:
        from submitit.core.utils import FailedJobError, UncompletedJobError

        if isinstance(error, UncompletedJobError):
            return Lost("its job ended without an answer")
        if isinstance(error, FailedJobError):
            line = str(error).strip().splitlines()[-1]
            return UserError(f"the job failed: {line}")
        return error


def _settle(inner: Future[str], job: Any) -> None:
    try:
        answer = job.result()
    except Exception as error:  # to be read by whoever waits; the job's files stay
        inner.set_exception(error)
        return
    for path in (job.paths.submitted_pickle, job.paths.result_pickle):
        path.unlink(missing_ok=True)
    inner.set_result(answer)


def _executor(store: Path, options: SlurmOptions) -> Any:
    try:
        import submitit
    except ImportError:
        raise UserError("the engine slurm is not installed; type: pip install 'ratelab[slurm]'") from None
    if options.cluster == "slurm" and shutil.which("srun") is None:
        raise UserError("no Slurm here (srun is not found); start from a login node, or try --engine-option cluster=local")
    executor = submitit.AutoExecutor(folder=str(store / "slurm"), cluster=options.cluster)
    executor.update_parameters(
        name="ratelab",
        timeout_min=options.minutes,
        cpus_per_task=options.cpus,
        gpus_per_node=options.gpus,
        mem_gb=options.memory,
    )
    if options.cluster == "slurm":
        named = {"slurm_partition": options.partition, "slurm_account": options.account}
        executor.update_parameters(**{key: value for key, value in named.items() if value is not None})
    return executor

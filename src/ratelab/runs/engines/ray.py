"""Ray tasks: on a cluster whose machines share the store's path, or on a cluster of its own on this machine.

Needs the extra ``ray``. A cluster of its own listens on this machine alone, without dashboard and without telemetry.
"""

import math
import os
import socket
import threading
import time
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from ratelab.core.errors import UserError
from ratelab.runs.circumstances import Circumstances
from ratelab.runs.engines.engine import Engine, Lost, Made, Task
from ratelab.runs.engines.local import available_cores
from ratelab.runs.engines.remote import answered, carry_out, on_workers, order
from ratelab.store import Sign

PATIENCE = 4.0  # seconds for an address to answer
LOOKS = 1.0  # seconds between looks at what the cluster has
SMALL = 80 * 1024**2  # bytes for Ray's object store: what passes through it is a few kilobytes
OURS = "on this machine"


class RayOptions(BaseModel):
    """``address``: HOST:PORT of a running cluster's head, or auto (by default RAY_ADDRESS, else a cluster of its own on this machine).
    ``cpus``, ``gpus``: the share of one machine that each run takes, e.g. gpus=0.25."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    address: str | None = None
    cpus: Annotated[float, Field(gt=0, le=1024)] = 1.0
    gpus: Annotated[float, Field(ge=0, le=1024)] = 0.0


class RayEngine(Engine):
    """Each task is tried where there is room; one whose worker dies comes back as lost, wherever it ran."""

    def __init__(self, store: Path, circumstances: Circumstances, workers: int | None, options: RayOptions) -> None:
        self.ray = _loaded(options.address or os.environ.get("RAY_ADDRESS"))
        self.store, self.workers, self.options = store, workers, options
        self.circumstances = on_workers(circumstances, options.gpus)
        self.guest = self.ray.is_initialized()
        self.looked, self.room = -LOOKS, 0
        self.flying: set[Future[Made]] = set()
        if not self.guest:
            self._connect(options.address or os.environ.get("RAY_ADDRESS"))
        try:
            self._check_room()
            self.sign = Sign.put_up(store)
        except BaseException:
            self._leave()
            raise
        self.remote = self.ray.remote(num_cpus=options.cpus, num_gpus=options.gpus, max_retries=0)(carry_out)

    def slots(self) -> int:
        if time.monotonic() - self.looked >= LOOKS:
            self.room, self.looked = self._capacity(), time.monotonic()
        return self.room if self.workers is None else min(self.workers, self.room)

    def submit(self, task: Task) -> Future[Made]:
        threads = max(1, int(self.options.cpus))
        text = order(task, self.store, self.circumstances, self.sign, threads)
        future = answered(self.remote.remote(text).future(), self.store, self._meaning)
        self.flying.add(future)
        future.add_done_callback(self.flying.discard)
        return future

    def halt(self) -> None:
        self.sign.take_down()
        try:
            wait(list(self.flying))
        finally:
            self.close()

    def close(self) -> None:
        self.sign.take_down()
        self._leave()

    def _connect(self, address: str | None) -> None:
        if address not in (None, "auto", "local"):
            _greet(self.ray, str(address))
        try:
            if address in (None, "local"):
                self._start_own()
            else:
                self.ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except Exception as error:  # Ray raises whatever the failing layer does
            if address == "auto":
                raise UserError(
                    "no Ray cluster runs on this machine; give address=HOST:PORT, or leave it out to start one"
                ) from None
            line = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
            raise UserError(f"Ray {f'at {address}' if address else OURS}: {line}") from None

    def _start_own(self) -> None:
        cores = available_cores()
        if self.workers is not None and self.workers > cores:
            self.said = (f"{self.workers} workers share {cores} core(s): more than one for each core gain nothing",)
        cpus = max(cores, math.ceil((self.workers or 0) * self.options.cpus))
        self.ray.init(
            address="local",
            num_cpus=cpus,
            include_dashboard=False,
            object_store_memory=SMALL,
            log_to_driver=False,
            logging_level="ERROR",
        )

    def _leave(self) -> None:
        if not self.guest:
            self.ray.shutdown()

    def _check_room(self) -> None:
        """Refuse a task that no machine of the cluster could ever take; say where there are more workers than room."""
        room = self._capacity()
        if room == 0:
            shares = f"{self.options.cpus:g} CPU(s)" + (f" and {self.options.gpus:g} GPU(s)" if self.options.gpus else "")
            raise UserError(
                f"no machine of the Ray cluster has {shares} for a run; give smaller shares (--engine-option gpus=, cpus=)"
            )
        if self.workers is not None and self.workers > room:
            self.said = (
                f"the Ray cluster has room for {room} of {self.workers} workers; the others wait for machines to join",
            )

    def _capacity(self) -> int:
        return sum(_fits(node["Resources"], self.options) for node in self.ray.nodes() if node["Alive"])

    def _meaning(self, error: BaseException) -> BaseException:
        known = self.ray.exceptions
        if isinstance(error, (known.NodeDiedError, known.LocalRayletDiedError)):
            return Lost("its machine left the cluster", innocent=True)
        if isinstance(error, (known.WorkerCrashedError, known.OutOfMemoryError, known.TaskCancelledError)):
            return Lost("its worker process died")
        return error


def _fits(resources: dict[str, float], options: RayOptions) -> int:
    """How many runs one machine takes at a time."""
    by_cpu = math.floor(resources.get("CPU", 0.0) / options.cpus + 1e-9)
    return min(by_cpu, _by_gpu(resources.get("GPU", 0.0), options.gpus)) if options.gpus else by_cpu


def _by_gpu(there: float, share: float) -> int:
    """Parts of a GPU do not add up across cards.

    >>> _by_gpu(2.0, 0.4), _by_gpu(4.0, 2.0)
    (4, 2)
    """
    return math.floor(there / share + 1e-9) if share >= 1 else int(there) * math.floor(1 / share + 1e-9)


def _loaded(address: str | None) -> Any:
    """The library, told to stay silent; :class:`UserError` where it is not installed or the address does not answer."""
    host = _reachable(address) if address not in (None, "auto", "local") else ""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address is not None:
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "error")  # one line of ours, where nothing answers, instead of many
    if address is None or host in ("127.0.0.1", "localhost"):
        # Ray's own word for "this machine only": it then listens on the loopback address.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        import ray
    except ImportError:
        raise UserError("the engine ray is not installed; type: pip install 'ratelab[ray]'") from None
    return ray


def _greet(ray: Any, address: str) -> None:
    """Ask a head for its cluster; Ray itself goes on asking what is none for half a minute."""
    host, _, port = address.rpartition(":")
    met = f"{ray._private.services.resolve_ip_for_localhost(host)}:{port}"  # where Ray will look for it
    answers: list[BaseException | None] = []

    def ask() -> None:
        try:
            ray._raylet.GcsClient(address=met)
            answers.append(None)
        except Exception as error:  # whatever it is, this is no cluster
            answers.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PATIENCE)
    if answers != [None]:
        raise _silent(address, "what listens there is no Ray head, or one of another version")


def _silent(address: str | None, why: str) -> UserError:
    return UserError(f"no Ray cluster answers at {address} ({why}); check the address, or leave it out for this machine")


def _reachable(address: str | None) -> str:
    """The host of an address that answers."""
    host, _, port = (address or "").rpartition(":")
    if "://" in host or not host or not port.isdecimal():
        raise UserError(
            f"Ray address '{address}': expected HOST:PORT of the head of a running cluster, e.g. 10.0.0.1:6379, or auto"
        )
    try:
        socket.create_connection((host, int(port)), timeout=PATIENCE).close()
    except (OSError, OverflowError) as error:
        why = str(getattr(error, "strerror", None) or error or "no answer").lower()
        raise UserError(
            f"no Ray cluster answers at {address} ({why}); check the address, or leave it out for this machine"
        ) from None
    return host

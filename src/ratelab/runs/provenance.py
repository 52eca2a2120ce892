"""Where a run was made: versions, machine, data, and how long each phase took."""

import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch

from ratelab import __version__
from ratelab.core.dataset import Dataset

SCHEMA = 1


class Provenance:
    """The record behind ``provenance.json``.

    ``{"schema", "run", "hash", "data": {"name", "digest"}, "code": {module: sha256}, "versions", "platform", "threads", "device",
    "stack", "started", "finished", "seconds": {"data", "training", "evaluation", "pictures"}}``; times in UTC, ``finished`` null until the
    run is. A run that is continued keeps its start and adds to its seconds. ``stack``: the runs that were trained as one with this
    one, or null; their time is divided evenly.
    """

    def __init__(
        self, run: str, digest: str, dataset: Dataset, code: Mapping[str, str], device: torch.device, earlier: Mapping[str, Any]
    ) -> None:
        self.seconds: dict[str, float] = dict(earlier.get("seconds", {}))
        self.facts: dict[str, Any] = {
            "schema": SCHEMA,
            "run": run,
            "hash": digest,
            "data": {"name": dataset.name, "digest": dataset.digest},
            "code": dict(code),
            "versions": {
                "ratelab": __version__,
                "python": platform.python_version(),
                "torch": torch.__version__,
                "numpy": np.__version__,
            },
            "platform": platform.platform(),
            "threads": torch.get_num_threads(),
            "device": device.type if device.type == "cpu" else torch.cuda.get_device_name(device),
            "stack": earlier.get("stack"),
            "started": earlier.get("started") or now(),
            "finished": None,
        }

    def stacked(self, members: Sequence[str]) -> None:
        """Note that the run is trained as one with others, ``members`` in their order; by itself where there are none."""
        self.facts["stack"] = list(members) or None

    def spent(self, phase: str, seconds: float) -> None:
        """Count time that was measured elsewhere."""
        self.seconds[phase] = round(self.seconds.get(phase, 0.0) + seconds, 3)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the block's wall time, also when it is interrupted."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.spent(name, time.perf_counter() - started)

    def document(self, *, finished: bool = False) -> dict[str, Any]:
        """The content of ``provenance.json``."""
        return {**self.facts, "finished": now() if finished else None, "seconds": dict(self.seconds)}


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")

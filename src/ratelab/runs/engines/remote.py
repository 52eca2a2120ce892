"""A task on another machine: plain data there and back, so that neither side trusts the other's objects.

The worker shares a path with the driver. It stops when the driver's sign in the store is taken down, and refuses what it would
make under another id than the driver's.
"""

import json
import os
import socket
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ratelab.core.errors import UserError
from ratelab.data.files import data_root
from ratelab.runs.circumstances import Circumstances
from ratelab.runs.engines.engine import Made, Task, Unseen
from ratelab.runs.engines.make import make
from ratelab.runs.execute import Run, reason
from ratelab.runs.recipe import resolve
from ratelab.store import Sign, Store

SIGHT = 5.0  # seconds until a shared folder must show what another machine wrote
GLANCES = 1.0  # seconds between looks at the driver's sign


def order(task: Task, store: Path, circumstances: Circumstances, sign: Sign, threads: int) -> str:
    """A task as JSON. The data lies where the driver's does, where that was said."""
    folder = circumstances.data_folder or (data_root() if os.environ.get("RATELAB_DATA") else None)
    under = {
        "data_folder": None if folder is None else str(folder.absolute()),
        "device": circumstances.device,
        "checkpoint_every": circumstances.checkpoint_every,
        "allow_code": circumstances.allow_code,
    }
    runs = {run: recipe.document() for run, recipe in task.runs.items()}
    return json.dumps(
        {
            "runs": runs,
            "resumed": task.resumed,
            "store": str(store.absolute()),
            "under": under,
            "sign": sign.name,
            "threads": threads,
        }
    )


def carry_out(text: str) -> str:
    """On the worker: make the runs of an :func:`order`. The answer is JSON: ``made``, or ``unseen`` with the machine's name, or
    ``wrong`` with a line for what went wrong."""
    given = json.loads(text)
    sign = Sign(Path(given["store"]), given["sign"])
    if not _seen(sign):
        return json.dumps({"unseen": socket.gethostname()})
    torch.set_num_threads(given["threads"])
    try:
        return json.dumps({"made": _make(given, Watch(sign))})
    except Exception as error:  # an exception's class may not exist on the other side
        return json.dumps({"wrong": reason(error)})


def _seen(sign: Sign) -> bool:
    deadline = time.monotonic() + SIGHT
    while not sign.stands():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


class Watch:
    """Whether the driver's sign was taken down; looks at the disk at most once in :data:`GLANCES` seconds."""

    def __init__(self, sign: Sign) -> None:
        self.sign, self.gone, self.looked = sign, False, -GLANCES

    def __call__(self) -> bool:
        if not self.gone and time.monotonic() - self.looked >= GLANCES:
            self.gone, self.looked = not self.sign.stands(), time.monotonic()
        return self.gone


def _make(given: Mapping[str, Any], watch: Watch) -> Made:
    under = given["under"]
    folder = under["data_folder"]
    circumstances = Circumstances(**{**under, "data_folder": None if folder is None else Path(folder)})
    store = Path(given["store"])
    recipes = [resolve(document) for document in given["runs"].values()]
    for expected, recipe in zip(given["runs"], recipes, strict=True):
        found = Run(recipe, Store(store), circumstances).folder.id
        if found != expected:
            raise UserError(
                f"run {expected} would be {found} on {socket.gethostname()}: the data, the code it names or RateLab differ there"
            )
    return make(recipes, given["resumed"], store, circumstances, watch)


def answered(inner: Future[str], store: Path, translate: Callable[[BaseException], BaseException]) -> Future[Made]:
    """The results in a worker's answer; ``translate`` says what the engine's own errors mean."""
    outer: Future[Made] = Future()

    def pass_on(done: Future[str]) -> None:
        if done.cancelled():
            outer.set_result({})
            return
        error = done.exception()
        if error is not None:
            outer.set_exception(translate(error))
            return
        answer = json.loads(done.result())
        if "unseen" in answer:
            outer.set_exception(
                Unseen(
                    f"the worker on {answer['unseen']} does not see the store {store.absolute()}; choose a folder that all machines share"
                )
            )
        elif "wrong" in answer:
            outer.set_exception(UserError(answer["wrong"]))
        else:
            outer.set_result(answer["made"])

    inner.add_done_callback(pass_on)
    return outer


def on_workers(circumstances: Circumstances, gpus: float) -> Circumstances:
    """What the workers run under: without a share of a GPU they take none, whatever their machine has.

    Raises :class:`UserError` where CUDA is asked for and no share of a GPU.
    """
    if circumstances.device == "cuda" and not gpus:
        raise UserError(
            "device cuda: each run needs a share of a GPU; add --engine-option gpus=1 (Ray also takes a part, e.g. 0.25)"
        )
    if circumstances.device == "auto":
        return replace(circumstances, device="cuda" if gpus else "cpu")
    return circumstances

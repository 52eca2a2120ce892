"""A trained model and a split of the data -> estimates with standard errors, and per-example values."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch

from ratelab.core.batch import LiveNoise
from ratelab.core.dataset import Dataset
from ratelab.core.errors import UserError
from ratelab.core.estimator import Estimator, Result
from ratelab.core.model import Model
from ratelab.core.sequence import watched
from ratelab.data.source import spread
from ratelab.estimators import ESTIMATORS
from ratelab.evaluation.latents import placed
from ratelab.training.loader import Loader
from ratelab.training.precision import repeatable

Node = dict[str, Any]


class Tick(Protocol):
    """Told how many batches are done, of how many, and with a note how far the work inside the next one is."""

    def __call__(self, done: int, total: int, note: str = "") -> None: ...


Helper = Callable[[Node, Model], Model]
"""From an estimator's node and the model that it measures to the trained model it needs, where it needs one."""
TRIED = 4


def built(node: Node, model: Model, helper: Helper | None) -> Estimator:
    """An estimator; :class:`UserError` where it needs a trained helper and none can be had here."""
    needed = ESTIMATORS[node["name"]].target.needs.helper  # type: ignore[attr-defined]
    if needed is None:
        return ESTIMATORS.build(node)
    if helper is None:
        raise UserError(
            f"estimator '{node['name']}' needs a trained {needed}, a run of a store; measure a run, not a model alone"
        )
    return ESTIMATORS.build(node, helper(node, model))


@torch.no_grad()
def check_estimators(
    model: Model,
    dataset: Dataset,
    nodes: Sequence[Node],
    helper: Helper | None = None,
    splits: Sequence[str] = ("validation", "test"),
) -> dict[str, str]:
    """Name -> one line, for each of the resolved estimator ``nodes`` that cannot measure this model on these splits of the data."""
    device, _ = placed(model)
    loader = Loader(dataset, dataset.test, TRIED, device=device)
    training = model.training
    seen = model.eval()(next(loader.ordered()), LiveNoise(0, device=device))
    model.train(training)
    refused: dict[str, str] = {}
    for node in nodes:
        try:
            needs = ESTIMATORS[node["name"]].target.needs  # type: ignore[attr-defined]
            if needs.labels and loader.y is None:
                raise UserError(f"estimator '{node['name']}' needs labels, and '{dataset.name}' has none; leave it out")
            if needs.of_examples and model.target != "x":
                other = "labels" if model.target == "y" else "codes of another run"
                raise UserError(f"estimator '{node['name']}' is of examples, and this model decodes {other}; leave it out")
            _check_enough(f"'{node['name']}'", needs.examples, dataset, splits)  # before a helper is trained
            estimator = built(node, model, helper)
            _check_enough(f"'{node['name']}' with these options", estimator.needs.examples, dataset, splits)
            estimator.check(model, seen)
        except UserError as error:
            refused[node["name"]] = str(error)
    return refused


def _check_enough(name: str, examples: int, dataset: Dataset, splits: Sequence[str]) -> None:
    """:class:`UserError` where a split has fewer examples than an estimator needs."""
    for which in splits:
        n = len(getattr(dataset, which))
        if n < examples:
            raise UserError(
                f"estimator {name} needs at least {examples} examples, and the {which} split of '{dataset.name}' has {n};"
                " give more data or leave it out"
            )


@torch.no_grad()
def evaluate(
    model: Model,
    dataset: Dataset,
    which: str,
    estimators: Sequence[Node],
    seed: int,
    *,
    batch_size: int = 500,
    device: str | torch.device = "cpu",
    tick: Tick | None = None,
    helper: Helper | None = None,
) -> tuple[dict[str, Result], dict[str, np.ndarray]]:
    """Every estimator over every example of the split ``which``, in float32.

    ``estimators``: resolved nodes of the estimator table; each has a random stream of its own, so that adding one never
    changes another. ``tick`` is told of each batch, and of each step where one takes many. ``helper`` gives what estimators need trained.
    Returns named estimates and per-example arrays.
    Raises :class:`UserError` where an estimator needs what the model or the data does not have.
    """
    model = model.to(device).eval()
    for line in check_estimators(model, dataset, estimators, helper, (which,)).values():
        raise UserError(line)
    loader = Loader(dataset, getattr(dataset, which), batch_size, device=device)
    observers: list[tuple[Estimator, LiveNoise]] = [
        (built(node, model, helper), LiveNoise.for_purpose(seed, f"evaluation/{which}/{node['name']}", device=device))
        for node in estimators
    ]
    for amount, splits in (("some", (spread(dataset.train, len(loader.x)),)), ("all", (dataset.train, dataset.validation))):
        curious = [(estimator, noise) for estimator, noise in observers if estimator.needs.training == amount]
        for split in splits if curious else ():
            resample = LiveNoise.for_purpose(seed, "evaluation/training", device=device) if dataset.resampled else None
            drawn = None if split is dataset.validation else resample
            for batch in Loader(dataset, split, batch_size, resample=drawn, device=device).ordered():
                for estimator, noise in curious:
                    with repeatable(batch.x.device):
                        estimator.observe_training(model, batch, noise, len(dataset.train))
    position = 0

    def hear(done: int, total: int) -> None:
        if tick is not None:
            tick(position, len(loader), f"step {done} of {total}")

    results: dict[str, Result] = {}
    arrays: dict[str, np.ndarray] = {}
    with watched(hear), repeatable(loader.x.device):
        for position, batch in enumerate(loader.ordered()):
            if tick is not None:
                tick(position, len(loader))
            for estimator, noise in observers:
                estimator.observe(model, batch, noise)
        for estimator, _ in observers:
            results |= estimator.result()
            arrays |= estimator.per_example()
    if tick is not None:
        tick(len(loader), len(loader))
    return results, arrays

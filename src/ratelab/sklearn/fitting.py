"""Training one model on an array that is already in the model's units."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ratelab.core.batch import LiveNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.estimator import Result
from ratelab.core.model import Model
from ratelab.core.objective import Setting
from ratelab.estimators.averages import Column, mean_of
from ratelab.objectives import OBJECTIVES
from ratelab.sklearn.goal import Goal
from ratelab.sklearn.settings import Settings
from ratelab.training import OPTIMISERS, Plan, Trainer

FEWEST_HELD_OUT = 10  # fewer rows are too noisy to stop by


class Fit(NamedTuple):
    """How a training went: epochs run, the epoch whose weights were kept, whether it diverged, which target was missed."""

    epochs: int
    kept: int
    diverged: bool
    missed: str


@contextmanager
def own_randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Weights (and a user's dropout) are drawn from torch's global generator: seed it here, and put it back as it was."""
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.manual_seed(seed)
        yield


def split(values: NDArray[np.generic], support: Support, settings: Settings, seed: int) -> tuple[Dataset, bool]:
    """Training and validation rows, and whether there are enough of the latter to stop by; else all rows are trained on."""
    held_out = int(len(values) * settings.validation_fraction)
    if settings.patience is None or held_out < FEWEST_HELD_OUT:
        unread = Split(values[:1])  # the loop wants a validation split; nobody looks at what it says of it
        return Dataset("X", support, Split(values), unread, unread), False
    order = LiveNoise.for_purpose(seed, "split").permutation(len(values)).numpy()
    validation = Split(values[order[:held_out]])
    return Dataset("X", support, Split(values[order[held_out:]]), validation, validation), True


def train(
    model: Model,
    values: NDArray[np.generic],
    support: Support,
    settings: Settings,
    seed: int,
    report: Callable[[dict[str, Any]], None],
    log_jacobian: float = 0.0,
) -> Fit:
    """Train on ``values`` (N, \\*event), in place; ``report`` sees each epoch's log row.

    Early stopping looks at :meth:`Goal.merit` on the validation rows. A training that diverges leaves the best weights so far.
    ``log_jacobian``: nats between distortions in the units of the data and those of ``values``.
    """
    dataset, stops = split(values, support, settings, seed)
    goal = Goal(settings, log_jacobian)
    setting = Setting(model.event_shape, model.latent_shapes, settings.epochs, len(dataset.train))
    objective = OBJECTIVES.build(OBJECTIVES.resolve(goal.node, "VAE"), setting)
    plan = Plan(epochs=settings.epochs, batch_size=settings.batch_size, validate_every=1 if stops else settings.epochs)
    # Under a target the steps shrink towards the end, so that the rate comes to rest where the controller holds it.
    optimiser = OPTIMISERS.resolve({"name": "adam", "lr": settings.learning_rate, "constant": 1.0 if goal.free else 0.6}, "VAE")
    trainer = Trainer(model, objective, dataset, optimiser, plan, seed, settings.device)
    lowest, best, kept, waited = np.inf, None, 0, 0
    while not trainer.done:
        row = trainer.run_epoch()
        report(row)
        merit = goal.merit(row) if stops and trainer.status != "diverged" else None
        if merit is None:
            continue
        if merit < lowest and not goal.missed(measured(model, trainer)):
            lowest, best, kept, waited = merit, trainer.good, trainer.epoch, 0
        else:
            waited += 1
        if settings.patience is not None and waited >= settings.patience:
            break
    diverged = trainer.status == "diverged"
    model.load_state_dict(trainer.good if best is None else best)
    kept = trainer.epoch - diverged if best is None else kept
    return Fit(trainer.epoch, kept, diverged, goal.missed(measured(model, trainer)))


@torch.no_grad()
def measured(model: Model, trainer: Trainer) -> Mapping[str, Result]:
    """Rates (in closed form where there is one) and distortion of the rows trained on, in the units of training."""
    rates, distortion = Column(), Column()
    noise = LiveNoise.for_purpose(trainer.seed, "target", device=trainer.device)
    model.eval()
    for batch in trainer.train_loader.ordered():
        seen = model(batch, noise)
        rates.add(seen.per_example(seen.closed_rates))
        distortion.add(seen.per_example(seen.distortion))
    return {
        "rate": mean_of(rates.values.sum(0), of="rate"),
        "rates": [mean_of(row, of="rate") for row in rates.values],
        "distortion": mean_of(distortion.values, of="distortion"),
    }

"""The one training loop: players take turns on batches; rates and distortion are logged from the pass, identically for all."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.dataset import Dataset
from ratelab.core.errors import UserError
from ratelab.core.model import Model, Paced
from ratelab.core.objective import Objective, Player, State, Turn
from ratelab.training import checkpoint
from ratelab.training.layout import lay_out
from ratelab.training.loader import Loader
from ratelab.training.optimisers import OPTIMISERS, Optimiser
from ratelab.training.plan import Plan
from ratelab.training.precision import arithmetic, repeatable
from ratelab.training.tally import Tally

STREAMS = ("order", "data", "training")
STATUSES = ("running", "done", "diverged")


@dataclass
class Progress:
    """Where a training stands; everything here goes into the checkpoint's header."""

    epoch: int = 0
    status: str = "running"  # one of STATUSES
    best: float = math.inf
    best_epoch: int = 0


class Trainer:
    """Trains one model under one objective, epoch by epoch, and can be stopped and continued between any two of them.

    ``optimiser``: a resolved node of the optimiser table, used for every player. A loss or a parameter that stops being a
    number ends the training with status ``diverged`` and the last good epoch's weights.
    """

    def __init__(
        self,
        model: Model,
        objective: Objective,
        dataset: Dataset,
        optimiser: Mapping[str, Any],
        plan: Plan,
        seed: int,
        device: str | torch.device = "cpu",
    ) -> None:
        self.model, self.objective, self.plan, self.seed = model.to(device), objective.to(device), plan, seed
        self.device = torch.device(device)
        lay_out(self.model)
        self.progress = Progress()
        self.streams = {name: LiveNoise.for_purpose(seed, name, device=device) for name in STREAMS}
        resample = self.streams["data"] if dataset.resampled else None
        self.train_loader = Loader(
            dataset,
            dataset.train,
            plan.batch_size,
            passes=plan.passes,
            resample=resample,
            condition=self._condition(),
            device=device,
        )
        self.validation_loader = Loader(dataset, dataset.validation, max(plan.batch_size, 500), device=device)
        self.players: tuple[Player, ...] = objective.players(model)
        self.optimisers: list[Optimiser] = [OPTIMISERS.build(optimiser, list(player.parameters)) for player in self.players]
        self.state: State = objective.initial_state()
        self.good = self._snapshot()
        self.best = self.good

    def _condition(self) -> Callable[[int], Tensor] | None:
        """What draws the conditions of a model that is trained over a range; :class:`UserError` where the objective has no use for it."""
        conditioning = self.model.conditioning
        if conditioning is None:
            return None
        if not self.objective.prices:
            raise UserError(
                f"model.conditioning: objective '{type(self.objective).__name__}' does not weigh rates by beta; use objective 'beta'"
            )
        return lambda n: conditioning.draw(n, self.streams["data"])

    @property
    def epoch(self) -> int:
        """Epochs finished."""
        return self.progress.epoch

    @property
    def status(self) -> str:
        """``running``, ``done`` or ``diverged``."""
        return self.progress.status

    @property
    def done(self) -> bool:
        """Nothing is left to train."""
        return self.progress.status != "running"

    def run_epoch(self) -> dict[str, Any]:
        """One epoch over the training split; returns the log row (nats; ``seconds`` is the clock column)."""
        started = time.perf_counter()
        epoch, lr = self.progress.epoch, self.set_rates()
        self.model.train()
        tally = Tally()
        with repeatable(self.device):
            for batch in self.train_loader.shuffled(self.streams["order"], epoch):
                for player, optimiser in zip(self.players, self.optimisers, strict=True):
                    for _ in range(player.steps):
                        self._take_turn(player, optimiser, batch, tally)
            row = self.close_epoch(tally, lr, self._validate)
        row["seconds"] = time.perf_counter() - started
        return row

    def _take_turn(self, player: Player, optimiser: Optimiser, batch: Batch, tally: Tally) -> None:
        """One optimiser step. A method of its own, so that a step's tensors are freed before the next step asks for memory."""
        with arithmetic(self.plan.precision, self.device):
            turn = player.loss(self.model, batch, self.streams["training"], self.state)
        self._backward(player, turn)
        tally.add(player.name, turn, batch.size)  # before the step: a law may hold parameters, not values
        self.state = {name: value.detach() for name, value in turn.loss.state.items()}
        del turn
        optimiser.step()

    def set_rates(self) -> float:
        """Set every optimiser's learning rate, and what else follows the epoch, for the coming one; returns the first player's rate."""
        for module in self.model.modules():
            if isinstance(module, Paced):
                module.pace(self.progress.epoch)
        rates = [optimiser.at(self.progress.epoch, self.plan.epochs) for optimiser in self.optimisers]
        return rates[0]

    def close_epoch(self, tally: Tally, lr: float, look: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The log row of an epoch that was just trained, and what follows from it: diverged, done, or on with it.

        ``look`` measures the validation split; it is called in the epochs that validate.
        """
        self.progress.epoch += 1
        row = {"epoch": self.progress.epoch, **tally.row("train"), "lr": lr}
        if tally.finite() and self._parameters_finite():
            self._after_good_epoch(row, look)
        else:
            self.model.load_state_dict(self.good)
            self.progress.status = "diverged"
        return row

    def _backward(self, player: Player, turn: Turn) -> None:
        if len(self.players) == 1:
            turn.loss.total.backward()
        else:
            turn.loss.total.backward(inputs=list(player.parameters))

    def _after_good_epoch(self, row: dict[str, Any], look: Callable[[], dict[str, Any]]) -> None:
        self.good = self._snapshot()
        last = self.progress.epoch == self.plan.epochs
        if last or self.progress.epoch % self.plan.validate_every == 0:
            seen = look()
            row.update(seen)
            self._judge(seen["validation/neg_elbo"])
        if last:
            self.progress.status = "done"

    def _judge(self, neg_elbo: float) -> None:
        """Early stopping looks at the validation -ELBO; without it the last weights are kept."""
        stopping = self.plan.early_stopping
        if stopping is None:
            return
        if neg_elbo < self.progress.best:
            self.progress.best, self.progress.best_epoch, self.best = neg_elbo, self.progress.epoch, self.good
        elif self.progress.epoch - self.progress.best_epoch >= stopping.patience:
            self.progress.status = "done"

    def validation_noise(self) -> LiveNoise:
        """The same draws at every look, so that epochs differ by their weights alone."""
        return LiveNoise.for_purpose(self.seed, "validation", device=self.device)

    @torch.no_grad()
    def _validate(self) -> dict[str, Any]:
        self.model.eval()
        noise = self.validation_noise()
        tally = Tally()
        for batch in self.validation_loader.ordered(self.progress.epoch):
            tally.see(self.model(batch, noise), batch.size)
        return tally.row("validation")

    def _snapshot(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    def _parameters_finite(self) -> bool:
        parameters = [p.detach() for player in self.players for p in player.parameters]
        return not parameters or bool(torch.stack(torch._foreach_norm(parameters)).isfinite().all())

    def weights(self) -> bytes:
        """The model to keep, as safetensors: the best epoch's under early stopping, else the last good one's."""
        kept = self.good if self.plan.early_stopping is None else self.best
        return checkpoint.to_bytes(kept, {"epoch": self.progress.best_epoch or self.progress.epoch})

    def save(self) -> bytes:
        """The full training state, from which :meth:`restore` continues bit for bit."""
        return checkpoint.to_bytes(*self.full_state())

    def full_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What :meth:`save` packs: tensors by name, and plain facts."""
        tensors: dict[str, Tensor] = {}
        for prefix, module in (("model", self.model), ("objective", self.objective)):
            tensors |= checkpoint.prefixed(prefix, module.state_dict())
        for position, optimiser in enumerate(self.optimisers):
            tensors |= checkpoint.prefixed(f"optimiser/{position}", checkpoint.optimiser_tensors(optimiser.inner))
        tensors |= checkpoint.prefixed("state", self.state)
        if self.plan.early_stopping is not None:
            tensors |= checkpoint.prefixed("best", self.best)
        tensors |= checkpoint.prefixed("stream", {name: stream.state() for name, stream in self.streams.items()})
        return tensors, dict(vars(self.progress))

    def restore(self, blob: bytes, what: str = "the checkpoint") -> None:
        """Continue from :meth:`save`; :class:`UserError` where the state is corrupt or belongs to another model."""
        self.load_full_state(*checkpoint.from_bytes(blob, what), what)

    def load_full_state(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any], what: str) -> None:
        """The inverse of :meth:`full_state`; ``what`` names the source in the error for a state of another model or device."""
        if any(f"stream/{n}" in tensors and len(tensors[f"stream/{n}"]) != len(s.state()) for n, s in self.streams.items()):
            raise UserError(
                f"{what} was made on another device than '{self.device.type}', whose random draws are others; continue it there,"
                " or delete the run's folder and train it again"
            )
        try:
            self.model.load_state_dict(checkpoint.below("model", tensors))
            self.objective.load_state_dict(checkpoint.below("objective", tensors))
            for position, optimiser in enumerate(self.optimisers):
                checkpoint.load_optimiser(optimiser.inner, checkpoint.below(f"optimiser/{position}", tensors))
            for name, stream in self.streams.items():
                stream.load_state(tensors[f"stream/{name}"])
            self.progress = Progress(**facts)
            if not isinstance(self.progress.epoch, int) or self.progress.status not in STATUSES:
                raise ValueError(f"epoch {self.progress.epoch!r}, status {self.progress.status!r}")
        except (RuntimeError, KeyError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"{what} does not fit this model ({reason}); delete the run's folder and train it again") from None
        self.state = {name: tensor.to(self.device) for name, tensor in checkpoint.below("state", tensors).items()}
        self.good = self._snapshot()
        self.best = {name: tensor.to(self.device) for name, tensor in checkpoint.below("best", tensors).items()}


def load_weights(model: nn.Module, blob: bytes, what: str) -> None:
    """Load :meth:`Trainer.weights` into a model, laid out as in training; :class:`UserError` where they are corrupt or do not fit."""
    tensors, _ = checkpoint.from_bytes(blob, what)
    lay_out(model)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{what} does not fit this model ({reason})") from None

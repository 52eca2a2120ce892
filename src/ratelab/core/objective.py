"""The contract of an objective: what is minimised, and by which players.

An objective is a module whose hyper-parameters are buffers (0-d tensors): the loss is a pure function of (parameters,
state, hyper-parameters, batch, noise), so models that differ in beta or seed can be stacked and trained in one go.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ratelab.core.batch import Batch, Noise
from ratelab.core.estimator import Result
from ratelab.core.model import Model
from ratelab.core.passes import Pass
from ratelab.core.reference import Reference

State = Mapping[str, Tensor]
"""What learns by no gradient: controllers, running baselines. Passed in, returned, saved in the checkpoint."""


@dataclass(frozen=True)
class Setting:
    """What an objective may know of the training it serves."""

    event_shape: tuple[int, ...]
    latent_shapes: tuple[tuple[int, ...], ...]
    epochs: float
    examples: int


class Loss(NamedTuple):
    """A scalar to minimise, the objective's own named terms (detached scalars for the log), and the next state."""

    total: Tensor
    terms: Mapping[str, Tensor]
    state: State


class Turn(NamedTuple):
    """What a player's turn yields: its loss and the pass it looked at (logged identically for all objectives)."""

    loss: Loss
    seen: Pass | None


@dataclass(frozen=True)
class Player:
    """One of those who learn: its parameters receive its own loss's gradient and nobody else's.

    ``steps``: optimiser steps per turn (a critic may take five to the generator's one).
    """

    name: str
    parameters: Sequence[nn.Parameter]
    loss: Callable[[Model, Batch, Noise, State], Turn]
    steps: int = field(default=1)


class Objective(nn.Module):
    """What is minimised. Subclasses implement :meth:`loss`, and :meth:`players` when there is more than one.

    ``samples`` is K, the draws per example it asks for; ``path`` whether gradients flow through z. ``stacks``: its loss is a pure
    function that can be recorded once and run for many models at a time; False where it looks at values to decide what to do.
    ``prices``: it weighs each example's rates by the beta in its batch's ``condition``, where there is one.
    """

    samples: int = 1
    path: bool = True
    stacks: bool = True
    prices: bool = False
    references: tuple[Reference, ...] = ()

    def hyper(self, name: str, value: float | Iterable[float]) -> None:
        """Register a hyper-parameter as a buffer that is saved with the recipe, not with the weights."""
        self.register_buffer(name, torch.as_tensor(value, dtype=torch.float32), persistent=False)

    def initial_state(self) -> State:
        """The state before the first step; empty for most."""
        return {}

    @abstractmethod
    def loss(self, seen: Pass, state: State) -> Loss:
        """The loss of one pass, in nats."""

    def turn(self, model: Model, batch: Batch, noise: Noise, state: State) -> Turn:
        """One pass of the model and its loss: the turn of the player "model"."""
        seen = model(batch, noise, self.samples, self.path)
        return Turn(self.loss(seen, state), seen)

    def players(self, model: Model) -> tuple[Player, ...]:
        """Who learns. By default one player with all parameters of the model.

        Called once before training: a model that the objective cannot serve is a :class:`UserError` here.
        """
        return (Player("model", tuple(model.parameters()), self.turn),)

    def missed(self, measured: Mapping[str, Result]) -> str:
        """One line that says which target the trained model missed, from its estimates; empty where none was set or missed."""
        return ""


def valued(value: Tensor, surrogate: Tensor) -> Tensor:
    """A loss that has the value of one expression and the gradient of another, a surrogate."""
    return value.detach() + (surrogate - surrogate.detach())

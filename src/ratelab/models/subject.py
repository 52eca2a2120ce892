"""A model that learns about another, trained one: it holds the other beside its own modules, so that it saves its own weights only."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ratelab.core.batch import Batch, Noise
from ratelab.core.codes import Codes
from ratelab.core.errors import UserError
from ratelab.core.model import Group, Model
from ratelab.core.passes import Pass
from ratelab.core.target import trial

LayerNumber = Annotated[int, Field(ge=1)]
"""A layer of the model that is learnt about, counted from the data."""


class Subject:
    """The trained model that is asked for draws; it stays in evaluation mode and keeps no gradients."""

    def __init__(self, model: Model) -> None:
        self.model = model

    @torch.no_grad()
    def codes(self, which: Codes, batch: Batch, noise: Noise) -> Tensor:
        """(B, d) codes of one pass from data."""
        return which.values(self._quiet()(batch, noise))[0]

    @torch.no_grad()
    def codes_and_draws(self, which: Codes, batch: Batch, noise: Noise) -> tuple[Tensor, Tensor]:
        """(B, d) codes, and as many draws of their marginal."""
        model = self._quiet()
        seen = model(batch, noise)
        return which.values(seen)[0], which.drawn(model, seen, batch.size, noise)

    @torch.no_grad()
    def drawn(self, n: int, noise: Noise) -> Tensor:
        """``n`` examples of the model, (n, \\*event): draws x ~ d(x|z), or the generator's output where it has no likelihood."""
        return self._quiet().generate(n, noise).target

    def _quiet(self) -> Model:
        return self.model.eval() if self.model.training else self.model


class Learner(Model):
    """What models of another model's draws share: they have no latents of their own and generate nothing."""

    latent_shapes = ()
    stacks = False

    @abstractmethod
    def what(self) -> str:
        """What it is, for the one line that says what it is not."""

    def _refuse(self) -> UserError:
        return UserError(f"{self.what()} has no latents and generates nothing; look at the run that it learnt about")

    def generate(self, n: int, noise: Noise) -> Pass:
        raise self._refuse()

    def log_joint(self, x: Tensor, z: tuple[Tensor, ...]) -> Tensor:
        raise self._refuse()

    def decode(self, z: tuple[Tensor, ...]) -> Tensor:
        raise self._refuse()

    def group(self, which: Group) -> Iterator[nn.Parameter]:
        return iter(()) if which == "inference" else self.parameters()


def code_shape(model: Model, which: Codes, name: str) -> tuple[int, ...]:
    """The shape of a model's codes; :class:`UserError` where ``name`` cannot learn their law."""
    seen = trial(model)
    line = which.lack(seen)
    if line:
        raise UserError(f"{name}: {line}")
    return tuple(which.values(seen).shape[2:])

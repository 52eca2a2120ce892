"""The contract of a critic: a function trained to tell two laws apart, of which a batch gives pairs of draws."""

from abc import abstractmethod
from typing import NamedTuple

from torch import Tensor

from ratelab.core.batch import Batch, Noise
from ratelab.core.model import Model
from ratelab.core.passes import Pass


class Pairs(NamedTuple):
    """Draws of the two laws, (B, \\*event) each: label 1 is on ``first``, label 0 on ``second``."""

    first: Tensor
    second: Tensor


class Critic(Model):
    """A model of labels: which of two laws a value was drawn from. It has no latents and generates nothing."""

    @abstractmethod
    def meet(self, batch: Batch, noise: Noise) -> Pairs:
        """Fresh draws of both laws, one pair for each example; they carry no gradient."""

    @abstractmethod
    def score(self, value: Tensor, noise: Noise | None = None) -> Tensor:
        """(\\*lead, \\*event) -> (\\*lead,): the logit of label 1. With ``noise``: disturbed, as it is trained."""

    @abstractmethod
    def judge(self, batch: Batch, pairs: Pairs, noise: Noise) -> Pass:
        """The pass of these pairs; its distortion is the cross-entropy of both labels, nats."""


class KnownCritic(Critic):
    """A critic of two laws whose divergence is known."""

    @property
    @abstractmethod
    def divergence(self) -> float:
        """KL(second || first) in closed form, nats."""

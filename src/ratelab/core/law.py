"""The contract of a probability law: what an encoder, a decoder or a marginal returns.

Much like a ``torch.distributions.Distribution``, with four differences that the rest of the house needs: it draws from
:class:`~ratelab.core.batch.Noise` only; a draw may come with its log-density (an inverse autoregressive flow knows it
only there); it scores in float32 under autocast; and it has a :meth:`Law.detached` twin whose parameters are held fixed.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from ratelab.core.batch import Noise

Result = TypeVar("Result")


class Draw(NamedTuple):
    """A value drawn from a law and, where the law only knows it at this moment, its log-density (else ``None``)."""

    value: Tensor
    log_prob: Tensor | None = None


@dataclass(frozen=True)
class Abilities:
    """What a law can do, as its class (or, where it is made of other laws, the object) declares it and the contract tests check it.

    ``density``: a log-density or log-mass exists. ``elementwise``: it is a sum of one term for each unit of the event
    (:meth:`Law.unit_log_prob`). ``closed_kl``: :meth:`Law.kl` knows a closed form, from a law of its own kind at least.
    ``parallel_draws``, ``parallel_scores``: all units at once, not one after another; scores are those of arbitrary values.
    """

    density: bool = True
    elementwise: bool = False
    closed_kl: bool = False
    parallel_draws: bool = True
    parallel_scores: bool = True


class Law(ABC):
    """A probability law over an event, with leading batch axes.

    Shapes: a value is ``(*batch, *event)``; :meth:`log_prob` sums over the event and gives ``(*batch,)``, in nats.
    A density that does not exist is never 0: a deterministic law's is ``inf``, an implicit law's NaN.
    """

    event_shape: tuple[int, ...]
    batch_shape: tuple[int, ...]
    normalised: bool = True  # False: the score is a loss, not a log-likelihood, and bounds nothing
    abilities: Abilities = Abilities()
    mass: bool = False  # True: scores are probabilities of discrete values, so that entropies and bits per dimension follow

    @abstractmethod
    def draw(self, noise: Noise, samples: int | None = None) -> Draw:
        """One value, or ``samples`` values along a new leading axis; differentiable where the law allows it."""

    @abstractmethod
    def log_prob(self, value: Tensor) -> Tensor:
        """log-density (or log-mass) of ``value`` in nats, summed over the event; broadcasts over leading axes."""

    @property
    @abstractmethod
    def mean(self) -> Tensor:
        """The mean, ``(*batch, *event)``."""

    @property
    def capacity(self) -> float:
        """The most nats that one value can carry: the logarithm of how many values there are, infinite for a continuous law."""
        return math.inf

    def unit_log_prob(self, value: Tensor) -> Tensor | None:
        """log-density per unit of the event, ``(*batch, *event)``, or ``None`` when the law does not factorise."""
        return None

    def kl(self, other: "Law") -> Tensor | None:
        """KL(self || other) per unit of the event in nats, or ``None`` where no closed form is known."""
        return None

    @abstractmethod
    def detached(self) -> "Law":
        """The same law with its parameters held fixed (sticking the landing, DReG)."""

    def _shape(self, samples: int | None) -> tuple[int, ...]:
        lead = () if samples is None else (samples,)
        return (*lead, *self.batch_shape, *self.event_shape)


def sum_event(values: Tensor, event_shape: tuple[int, ...]) -> Tensor:
    """Sum over the trailing event axes (never over batch axes).

    >>> sum_event(torch.ones(5, 2, 3), (2, 3)).shape
    torch.Size([5])
    """
    return values.flatten(-len(event_shape)).sum(-1) if event_shape else values


def full_precision(value: Tensor) -> Tensor:
    """Half-precision tensors as float32, others untouched: densities are scored in float32 under autocast."""
    return value.float() if value.dtype in (torch.bfloat16, torch.float16) else value


def without_autocast(function: Callable[..., Result]) -> Callable[..., Result]:
    """``function`` with autocast switched off while it runs, for products that belong to a density and not to a network."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Result:
        kind = next((kind for kind in ("cpu", "cuda") if torch.is_autocast_enabled(kind)), None)
        if kind is None:
            return function(*args, **kwargs)
        with torch.autocast(kind, enabled=False):
            return function(*args, **kwargs)

    return run

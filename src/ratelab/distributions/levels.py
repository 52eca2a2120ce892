"""Laws of grey levels: values that are one of 256 levels, given to models as level / 255.

Here: the arithmetic all such laws share, and the free 256-way categorical law of every value (Rosca et al. 2018, section 3.2).
"""

from functools import cached_property

import torch
from torch import Tensor

from ratelab.core.batch import Noise
from ratelab.core.law import Abilities, Draw, Law, full_precision, sum_event

LEVELS = 256
TOP = LEVELS - 1


def level_of(value: Tensor) -> Tensor:
    """The level, 0 .. 255 as a floating-point number, of a value in [0, 1].

    >>> level_of(torch.tensor([0.0, 0.5019608, 1.0]))
    tensor([  0., 128., 255.])
    """
    return (value * TOP).round().clamp(0, TOP)


def from_bins(value: Tensor) -> Tensor:
    """The model value, level / 255, of a continuous value of which [level / 256, (level + 1) / 256) is the level's bin.

    What lies outside [0, 1) lands on the nearest level.
    """
    return (value * LEVELS).floor().clamp(0, TOP) / TOP


def centre_of_bins(value: Tensor) -> Tensor:
    """:func:`from_bins` without the rounding: the mean of level / 255 for a mean of the continuous value."""
    return ((value * LEVELS - 0.5) / TOP).clamp(0, 1)


class CategoricalLevels(Law):
    """An independent 256-way softmax for every value. ``logits``: (\\*batch, 256, \\*event)."""

    mass = True
    abilities = Abilities(elementwise=True, closed_kl=True)

    def __init__(self, logits: Tensor, *, event_axes: int = 1) -> None:
        self.axis = -event_axes - 1
        self._logits = full_precision(logits)
        split = logits.ndim - event_axes
        self.batch_shape, self.event_shape = tuple(logits.shape[: split - 1]), tuple(logits.shape[split:])

    @cached_property
    def log_probs(self) -> Tensor:
        """(\\*batch, 256, \\*event), in nats."""
        return self._logits.log_softmax(self.axis)

    @property
    def mean(self) -> Tensor:
        shape = (LEVELS, *(1 for _ in self.event_shape))
        values = torch.arange(LEVELS, dtype=self.log_probs.dtype, device=self.log_probs.device) / TOP
        return (self.log_probs.exp() * values.reshape(shape)).sum(self.axis)

    def draw(self, noise: Noise, samples: int | None = None) -> Draw:
        """By the Gumbel-max rule, so that a mode request yields the mode. Carries no gradient."""
        lead = () if samples is None else (samples,)
        perturbed = self.log_probs + noise.gumbel((*lead, *self.log_probs.shape))
        return Draw(perturbed.argmax(self.axis).to(self.log_probs.dtype) / TOP)

    def unit_log_prob(self, value: Tensor) -> Tensor:
        index = level_of(value).long().unsqueeze(self.axis)
        lead = torch.broadcast_shapes(self.log_probs.shape[: self.axis], index.shape[: self.axis])
        table = self.log_probs.expand(*lead, *self.log_probs.shape[self.axis :])
        return table.gather(self.axis, index.expand(*lead, 1, *self.event_shape)).squeeze(self.axis)

    def log_prob(self, value: Tensor) -> Tensor:
        return sum_event(self.unit_log_prob(value), self.event_shape)

    def kl(self, other: Law) -> Tensor | None:
        if not isinstance(other, CategoricalLevels):
            return None
        return (self.log_probs.exp() * (self.log_probs - other.log_probs)).sum(self.axis)

    def detached(self) -> "CategoricalLevels":
        return CategoricalLevels(self._logits.detach(), event_axes=len(self.event_shape))

"""The logistic law: pdf e^-u / (s (1 + e^-u)^2) with u = (x - loc) / s (the InfoMax prior of Crescimanna and Graham 2019).

Variance s^2 pi^2 / 3, entropy log s + 2 nats per dimension: less than the normal's at equal variance (1.4046 against 1.4189 nats).
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ratelab.core.batch import Noise
from ratelab.core.law import Abilities, Draw, Law, full_precision, sum_event

UNIT_VARIANCE = math.sqrt(3) / math.pi


class Logistic(Law):
    """Independent logistic coordinates. ``loc``: (\\*batch, \\*event); ``scale``: s, of any shape that broadcasts against it."""

    abilities = Abilities(elementwise=True)

    def __init__(self, loc: Tensor, scale: Tensor, *, event_axes: int = 1) -> None:
        self.loc, self.scale = full_precision(loc), full_precision(scale)
        split = loc.ndim - event_axes
        self.batch_shape, self.event_shape = tuple(loc.shape[:split]), tuple(loc.shape[split:])

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def entropy(self) -> Tensor:
        """log s + 2 nats per dimension."""
        return self.scale.log() + 2

    def draw(self, noise: Noise, samples: int | None = None) -> Draw:
        return Draw(self.loc + self.scale * torch.logit(noise.uniform(self._shape(samples))))

    def unit_log_prob(self, value: Tensor) -> Tensor:
        u = (value - self.loc) / self.scale
        return F.logsigmoid(u) + F.logsigmoid(-u) - self.scale.log()

    def log_prob(self, value: Tensor) -> Tensor:
        return sum_event(self.unit_log_prob(value), self.event_shape)

    def detached(self) -> "Logistic":
        return Logistic(self.loc.detach(), self.scale.detach(), event_axes=len(self.event_shape))

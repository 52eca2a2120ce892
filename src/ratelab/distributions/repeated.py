"""A law without conditions over batch axes: the same for every example, scored once for each value."""

import math
from dataclasses import replace

from torch import Tensor

from ratelab.core.batch import Noise
from ratelab.core.law import Draw, Law


class Repeated(Law):
    """``law``, whose batch shape is (), as a law over batch axes ``lead``: independent copies of it."""

    def __init__(self, law: Law, *lead: int) -> None:
        assert law.batch_shape == ()
        self.law, self.batch_shape, self.event_shape = law, lead, law.event_shape
        self.mass, self.normalised = law.mass, law.normalised
        self.abilities = replace(law.abilities, closed_kl=False)

    def _over(self, values: Tensor, axes: int) -> Tensor:
        own = values.shape[values.ndim - axes :]
        lead = values.shape[: values.ndim - axes]
        missing = self.batch_shape[: max(len(self.batch_shape) - len(lead), 0)]
        return values.expand(*missing, *lead, *own)

    def draw(self, noise: Noise, samples: int | None = None) -> Draw:
        lead = (*(() if samples is None else (samples,)), *self.batch_shape)
        return Draw(self.law.draw(noise, math.prod(lead)).value.reshape(*lead, *self.event_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        return self._over(self.law.log_prob(value), 0)

    def unit_log_prob(self, value: Tensor) -> Tensor | None:
        units = self.law.unit_log_prob(value)
        return None if units is None else self._over(units, len(self.event_shape))

    @property
    def mean(self) -> Tensor:
        return self.law.mean.expand(*self.batch_shape, *self.event_shape)

    def detached(self) -> "Repeated":
        return Repeated(self.law.detached(), *self.batch_shape)

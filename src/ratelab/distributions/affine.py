"""A law of standardised data, scored in the units of the data itself."""

from dataclasses import replace

from torch import Tensor

from ratelab.core.batch import Noise
from ratelab.core.law import Draw, Law, sum_event


class Affine(Law):
    """The law of ``shift + scale * y`` for y ~ ``base``: log p(x) = log p_base((x - shift) / scale) - sum log scale.

    ``shift`` and ``scale`` have the event's shape; the log-Jacobian keeps distortions in the units of the user's data.
    """

    def __init__(self, base: Law, shift: Tensor, scale: Tensor) -> None:
        self.base, self.shift, self.scale = base, shift, scale
        self.batch_shape, self.event_shape = base.batch_shape, base.event_shape
        self.normalised, self.mass = base.normalised, base.mass
        self.abilities = replace(base.abilities, closed_kl=False)

    @property
    def mean(self) -> Tensor:
        return self.shift + self.scale * self.base.mean

    def draw(self, noise: Noise, samples: int | None = None) -> Draw:
        return Draw(self.shift + self.scale * self.base.draw(noise, samples).value)

    def unit_log_prob(self, value: Tensor) -> Tensor | None:
        units = self.base.unit_log_prob((value - self.shift) / self.scale)
        return None if units is None else units - self.scale.log()

    def log_prob(self, value: Tensor) -> Tensor:
        return self.base.log_prob((value - self.shift) / self.scale) - sum_event(self.scale.log(), self.event_shape)

    def detached(self) -> "Affine":
        return Affine(self.base.detached(), self.shift, self.scale)

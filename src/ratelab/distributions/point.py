"""Laws without a density: a point (deterministic encoders) and a push-forward of noise (implicit encoders).

A density that is missing is said to be missing: a point's is infinite, an implicit law's unknown (NaN). It is never 0.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ratelab.core.batch import Noise
from ratelab.core.law import Abilities, Draw, Law, full_precision


class Point(Law):
    """All mass at ``value`` (\\*batch, d); its density there is infinite, elsewhere zero."""

    abilities = Abilities(density=False)

    def __init__(self, value: Tensor) -> None:
        self.value = full_precision(value)
        self.batch_shape, self.event_shape = tuple(value.shape[:-1]), tuple(value.shape[-1:])

    @property
    def mean(self) -> Tensor:
        return self.value

    def draw(self, noise: Noise, samples: int | None = None) -> Draw:
        return Draw(self.value.expand(self._shape(samples)))

    def log_prob(self, value: Tensor) -> Tensor:
        here = (value == self.value).all(-1)
        return torch.where(here, torch.inf, -torch.inf).to(value.dtype)

    def detached(self) -> "Point":
        return Point(self.value.detach())


class Implicit(Law):
    """The law of ``push(noise)`` with standard normal noise (\\*batch, noise_dim): it can be drawn from, not scored.

    ``like``: any tensor (\\*batch, n) that says the batch shape, the type and the device.
    """

    abilities = Abilities(density=False)

    def __init__(self, push: Callable[[Tensor], Tensor], like: Tensor, event_shape: tuple[int, ...], noise_dim: int) -> None:
        self.push: Callable[[Tensor], Tensor] = lambda drawn: full_precision(push(drawn))
        self.event_shape, self.noise_dim = event_shape, noise_dim
        self.batch_shape = tuple(like.shape[:-1])
        self._like = like

    @property
    def mean(self) -> Tensor:
        """Where noise of zero goes: the mean itself is unknown."""
        return self.push(self._like.new_zeros(*self.batch_shape, self.noise_dim))

    def draw(self, noise: Noise, samples: int | None = None) -> Draw:
        lead = () if samples is None else (samples,)
        value = self.push(noise.normal((*lead, *self.batch_shape, self.noise_dim)))
        return Draw(value, value.new_full(value.shape[:-1], torch.nan))

    def log_prob(self, value: Tensor) -> Tensor:
        lead = torch.broadcast_shapes(value.shape[: value.ndim - len(self.event_shape)], self.batch_shape)
        return value.new_full(lead, torch.nan)

    def detached(self) -> "Implicit":
        return Implicit(lambda noise: self.push(noise).detach(), self._like, self.event_shape, self.noise_dim)

"""A law of ``torch.distributions`` as a law of ours: for models that were made elsewhere."""

import math

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from ratelab.core.batch import ModeNoise, Noise
from ratelab.core.errors import UserError
from ratelab.core.law import Draw, Law
from ratelab.distributions.gaussians import DiagonalGaussian


class ForeignLaw(Law):
    """``law`` over ``batch_shape`` of events; its own leading axes may be that shape flattened.

    Raises :class:`UserError` for values outside the law's support, whether or not torch validates them (libraries switch that off).
    It draws from torch's generator, seeded from the noise that is asked, so that a draw can be had again; under a mode request
    it yields its mean.
    """

    def __init__(self, law: Distribution, batch_shape: tuple[int, ...], event_shape: tuple[int, ...]) -> None:
        self.law, self.batch_shape, self.event_shape = law, batch_shape, event_shape
        self.mass = bool(law.support.is_discrete)  # type: ignore[union-attr]

    @property
    def mean(self) -> Tensor:
        try:
            mean = self.law.mean
        except NotImplementedError:
            raise UserError(
                f"a {type(self.law).__name__} law states no mean, which this estimator needs; leave it out"
            ) from None
        return mean.reshape(*self.batch_shape, *self.event_shape)

    def draw(self, noise: Noise, samples: int | None = None) -> Draw:
        lead = () if samples is None else (samples,)
        if isinstance(noise, ModeNoise):
            return Draw(self.mean.expand(self._shape(samples)))
        seed = int(float(noise.uniform((1,))) * 2**31)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return Draw(self.law.sample(torch.Size(lead)).reshape(self._shape(samples)))

    def log_prob(self, value: Tensor) -> Tensor:
        event = len(self.event_shape)
        lead = torch.broadcast_shapes(value.shape[: value.ndim - event], self.batch_shape)
        own = len(self.batch_shape)
        flat = (math.prod(self.batch_shape),) if own else ()
        rows = value.expand(*lead, *self.event_shape).reshape(*lead[: len(lead) - own], *flat, *self.event_shape)
        if not bool(self.law.support.check(rows).all()):  # type: ignore[union-attr]
            raise UserError(
                f"a {type(self.law).__name__} law cannot score all values: some lie outside its support; choose another"
            )
        scores = self.law.log_prob(rows)
        kept = len(lead) - own + len(flat)
        return scores.flatten(kept).sum(-1).reshape(lead) if scores.ndim > kept else scores.reshape(lead)

    def detached(self) -> "ForeignLaw":
        return self


def as_law(law: Law | Distribution, batch_shape: tuple[int, ...], event_shape: tuple[int, ...]) -> Law:
    """A law of ours: itself, a diagonal Gaussian for a ``Normal``, or a wrapped ``torch.distributions`` law."""
    if isinstance(law, Law):
        return law
    normal = law.base_dist if isinstance(law, Independent) else law
    if isinstance(normal, Normal):
        shape = (*batch_shape, *event_shape)
        return DiagonalGaussian(normal.loc.reshape(shape), scale=normal.scale.reshape(shape), event_axes=len(event_shape))
    return ForeignLaw(law, batch_shape, event_shape)

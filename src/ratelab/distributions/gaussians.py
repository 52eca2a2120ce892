"""Diagonal Gaussians and the standard normal: densities, draws and KL divergences in closed form.

log N(z; mu, sigma^2) = -1/2 sum_i [ (z_i - mu_i)^2 / sigma_i^2 + 2 log sigma_i + log 2 pi ]   (Kingma and Welling 2019, eq. 2.43)
"""

import math

import torch
from torch import Tensor

from ratelab.core.batch import Noise
from ratelab.core.law import Abilities, Draw, Law, full_precision, sum_event

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class DiagonalGaussian(Law):
    """N(loc, diag(scale^2)).

    ``loc``: (\\*batch, \\*event); ``scale`` (or ``log_scale``): the standard deviation, of any shape that broadcasts against
    ``loc``. ``event_axes``: how many trailing axes make one event.
    """

    abilities = Abilities(elementwise=True, closed_kl=True)

    def __init__(
        self, loc: Tensor, *, scale: Tensor | None = None, log_scale: Tensor | None = None, event_axes: int = 1
    ) -> None:
        if (scale is None) == (log_scale is None):
            raise TypeError("give scale or log_scale")
        self.loc = full_precision(loc)
        if log_scale is None:
            assert scale is not None
            self.scale = full_precision(scale)
            self.log_scale = self.scale.log()
        else:
            self.log_scale = full_precision(log_scale)
            self.scale = self.log_scale.exp()
        split = loc.ndim - event_axes
        self.batch_shape, self.event_shape = tuple(loc.shape[:split]), tuple(loc.shape[split:])

    @property
    def mean(self) -> Tensor:
        return self.loc

    def draw(self, noise: Noise, samples: int | None = None) -> Draw:
        return Draw(torch.addcmul(self.loc, self.scale, noise.normal(self._shape(samples))))

    def unit_log_prob(self, value: Tensor) -> Tensor:
        return -0.5 * ((value - self.loc) / self.scale).square() - self.log_scale - HALF_LOG_2PI

    def log_prob(self, value: Tensor) -> Tensor:
        # Signs and constants come after the sum: fewer passes over the values than summing unit_log_prob.
        standard = (value - self.loc) / self.scale
        energy = sum_event(torch.addcmul(self.log_scale, standard, standard, value=0.5), self.event_shape)
        return -energy - HALF_LOG_2PI * math.prod(self.event_shape)

    def kl(self, other: Law) -> Tensor | None:
        """Per unit: log(s2/s1) + (s1^2 + (m1 - m2)^2) / (2 s2^2) - 1/2."""
        if isinstance(other, StandardNormal):
            return 0.5 * (self.loc.square() + self.scale.square() - 1) - self.log_scale
        if isinstance(other, DiagonalGaussian):
            spread = (self.scale.square() + (self.loc - other.loc).square()) / (2 * other.scale.square())
            return other.log_scale - self.log_scale + spread - 0.5
        return None

    def detached(self) -> "DiagonalGaussian":
        return DiagonalGaussian(self.loc.detach(), log_scale=self.log_scale.detach(), event_axes=len(self.event_shape))


class StandardNormal(Law):
    """N(0, I) over an event of the given shape."""

    batch_shape = ()
    abilities = Abilities(elementwise=True, closed_kl=True)

    def __init__(self, event_shape: tuple[int, ...], like: Tensor) -> None:
        self.event_shape = event_shape
        self._like = like

    @property
    def mean(self) -> Tensor:
        return self._like.new_zeros(self.event_shape)

    def draw(self, noise: Noise, samples: int | None = None) -> Draw:
        return Draw(noise.normal(self._shape(samples)))

    def unit_log_prob(self, value: Tensor) -> Tensor:
        return -0.5 * full_precision(value).square() - HALF_LOG_2PI

    def log_prob(self, value: Tensor) -> Tensor:
        energy = sum_event(full_precision(value).square(), self.event_shape)
        return -0.5 * energy - HALF_LOG_2PI * math.prod(self.event_shape)

    def kl(self, other: Law) -> Tensor | None:
        if isinstance(other, StandardNormal):
            return self.mean
        if isinstance(other, DiagonalGaussian):
            return DiagonalGaussian(self.mean, log_scale=self.mean, event_axes=len(self.event_shape)).kl(other)
        return None

    def detached(self) -> "StandardNormal":
        return self


def merged(prior: Law, told: Law) -> DiagonalGaussian:
    """The normalised product of two diagonal Gaussians: precisions add, the mean is weighted by them.

    v = v1 v2 / (v1 + v2), mu = (mu1 v2 + mu2 v1) / (v1 + v2) (Sonderby et al. 2016, the Ladder VAE's merge). Where ``told`` knows
    nothing (an infinite variance) the result is ``prior``.
    """
    first, second = _as_diagonal(prior), _as_diagonal(told)
    log_scale = -0.5 * torch.logaddexp(-2 * first.log_scale, -2 * second.log_scale)
    share = torch.exp(2 * (log_scale - second.log_scale))
    return DiagonalGaussian(
        first.loc + share * (second.loc - first.loc), log_scale=log_scale, event_axes=len(second.event_shape)
    )


def _as_diagonal(law: Law) -> DiagonalGaussian:
    if isinstance(law, StandardNormal):
        return DiagonalGaussian(law.mean, log_scale=law.mean, event_axes=len(law.event_shape))
    if not isinstance(law, DiagonalGaussian):
        raise TypeError(f"only diagonal Gaussians merge in closed form, not {type(law).__name__}")
    return law

"""Discretised logistic laws of 256 levels (Kingma et al. 2016; Salimans et al. 2017, PixelCNN++).

A level's log-mass is log[sigmoid(a) - sigmoid(b)], with a and b the bin's edges minus the mean, over the scale. It is computed as
log sigmoid(a) + log sigmoid(-b) + log(1 - e^(b - a)), which is the same number without the cancellation: no bin is ever too small.
"""

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ratelab.core.batch import Noise
from ratelab.core.law import Abilities, Draw, Law, full_precision, sum_event
from ratelab.distributions.levels import LEVELS, TOP, centre_of_bins, from_bins, level_of

Bins = Literal["centred", "lower-edge"]
LOG_SCALES = (-7.0, 7.0)
SMALL_MASS = math.log(1e-5)


def log_bin_mass(lower: Tensor, width: float, loc: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """log-masses of a logistic law below ``lower + width``, above ``lower``, and between the two (nats)."""
    inverse = (-log_scale).exp()
    b = (lower - loc) * inverse
    # log sigmoid(v) as -softplus(-v), which takes a third of the time; beyond 40 softplus(v) is v in double precision.
    below, above = -F.softplus(-b - width * inverse, threshold=40.0), -F.softplus(b, threshold=40.0)
    return below, above, below + above + torch.log(-torch.expm1(-width * inverse))


def log_level_mass(level: Tensor, loc: Tensor, log_scale: Tensor, *, fallback: bool = False) -> Tensor:
    """log-mass of a level with bins centred on it, the outer two open-ended; sums to 1 over the 256 levels.

    ``loc`` and ``log_scale`` live on [-1, 1]. ``fallback`` replaces bins of mass below 1e-5 by density times width at the
    centre, as PixelCNN++'s code does (the sum is then 1 to 1e-5 only); it exists to compare numbers with that code.
    """
    centre, width = level / (TOP / 2) - 1, 2 / TOP
    below, above, inside = log_bin_mass(centre - width / 2, width, loc, log_scale)
    if fallback:
        u = (centre - loc) * (-log_scale).exp()
        inside = torch.where(inside > SMALL_MASS, inside, u - log_scale - 2 * F.softplus(u) + math.log(width))
    return torch.where(level <= 0, below, torch.where(level >= TOP, above, inside))


def clipped_mean(loc: Tensor, log_scale: Tensor) -> Tensor:
    """E[clip(v, -1, 1)] of a logistic v, in closed form: s [softplus((loc + 1) / s) - softplus((loc - 1) / s)] - 1."""
    scale = log_scale.exp()
    return scale * (F.softplus((loc + 1) / scale) - F.softplus((loc - 1) / scale)) - 1


def logistic_draw(loc: Tensor, log_scale: Tensor, uniform: Tensor) -> Tensor:
    """loc + s log(u / (1 - u))."""
    return loc + log_scale.exp() * (uniform.log() - torch.log1p(-uniform))


class DiscretisedLogistic(Law):
    """A discretised logistic law for every value. ``loc``, ``log_scale``: (\\*batch, \\*event) on [-1, 1].

    ``log_scale`` is held in [-7, 7], from a tenth of a level to a thousand images. ``bins``: ``centred`` on level / 255 with
    open outer bins, a law of exactly 256 levels; or ``lower-edge``, the bins [level / 256, (level + 1) / 256) of the inverse
    autoregressive flow and VampPrior codes, which leave the mass outside [0, 1) to no level at all (their probabilities sum
    to less than 1, so distortions are upper bounds). :attr:`mean` is the clipped logistic's before rounding, at most half a
    level off.
    """

    mass = True
    abilities = Abilities(elementwise=True)

    def __init__(
        self, loc: Tensor, log_scale: Tensor, *, event_axes: int = 1, bins: Bins = "centred", fallback: bool = False
    ) -> None:
        self.loc = full_precision(loc)
        self.log_scale = full_precision(log_scale).clamp(*LOG_SCALES).to(self.loc.dtype)
        self.bins, self.fallback = bins, fallback
        split = loc.ndim - event_axes
        self.batch_shape, self.event_shape = tuple(loc.shape[:split]), tuple(loc.shape[split:])

    @property
    def mean(self) -> Tensor:
        mean = (clipped_mean(self.loc, self.log_scale) + 1) / 2
        return mean if self.bins == "centred" else centre_of_bins(mean)

    def draw(self, noise: Noise, samples: int | None = None) -> Draw:
        """A level; carries no gradient. The continuous draw is rounded to its bin, outside ones to the nearest level."""
        v = logistic_draw(self.loc, self.log_scale, noise.uniform(self._shape(samples)))
        unit = (v + 1) / 2
        return Draw((level_of(unit) / TOP if self.bins == "centred" else from_bins(unit)).detach())

    def unit_log_prob(self, value: Tensor) -> Tensor:
        level = level_of(value)
        if self.bins == "centred":
            return log_level_mass(level, self.loc, self.log_scale, fallback=self.fallback)
        return log_bin_mass(level * (2 / LEVELS) - 1, 2 / LEVELS, self.loc, self.log_scale)[2]

    def log_prob(self, value: Tensor) -> Tensor:
        return sum_event(self.unit_log_prob(value), self.event_shape)

    def detached(self) -> "DiscretisedLogistic":
        return DiscretisedLogistic(
            self.loc.detach(),
            self.log_scale.detach(),
            event_axes=len(self.event_shape),
            bins=self.bins,
            fallback=self.fallback,
        )

"""The quantised normal law of 256 levels (Rosca et al. 2018, section 3.2; Theis et al. 2016).

A level k is dequantised to (k + u) / 256 with u uniform on [0, 1) and scored under a Gaussian. The score reported is the mean over u,
log p(x) = E_u[log N((k + u) / 256; mu, sigma^2)] - log 256 per value, which by Jensen's inequality bounds the log-mass of the level's
bin from below. A Gaussian's log-density is quadratic, so the mean over u is known: the variance of u, 1/12, adds to the square.
"""

import math

import torch
from torch import Tensor

from ratelab.core.batch import Noise
from ratelab.core.law import Abilities, Draw, Law, full_precision, sum_event
from ratelab.distributions.gaussians import HALF_LOG_2PI
from ratelab.distributions.levels import LEVELS, centre_of_bins, from_bins, level_of

LOG_WIDTH = -math.log(LEVELS)


class QuantisedNormal(Law):
    """A quantised normal for every value. ``loc``: (\\*batch, \\*event) on [0, 1]; ``log_scale`` broadcasts against it.

    Scores are a lower bound of the log-mass of the bins [level / 256, (level + 1) / 256): distortions are upper bounds.
    """

    mass = True
    abilities = Abilities(elementwise=True)

    def __init__(self, loc: Tensor, log_scale: Tensor, *, event_axes: int = 1) -> None:
        self.loc, self.log_scale = full_precision(loc), full_precision(log_scale)
        split = loc.ndim - event_axes
        self.batch_shape, self.event_shape = tuple(loc.shape[:split]), tuple(loc.shape[split:])

    @property
    def mean(self) -> Tensor:
        """The Gaussian's mean as a level / 255, before rounding and clipping."""
        return centre_of_bins(self.loc)

    def draw(self, noise: Noise, samples: int | None = None) -> Draw:
        """A level; carries no gradient. What falls outside [0, 1) lands on the nearest level."""
        continuous = torch.addcmul(self.loc, self.log_scale.exp(), noise.normal(self._shape(samples)))
        return Draw(from_bins(continuous).detach())

    def unit_log_prob(self, value: Tensor) -> Tensor:
        centre = (level_of(value) + 0.5) / LEVELS
        square = (centre - self.loc).square() + 1 / (12 * LEVELS**2)
        return -0.5 * square * (-2 * self.log_scale).exp() - self.log_scale - HALF_LOG_2PI + LOG_WIDTH

    def unit_log_mass(self, value: Tensor) -> Tensor:
        """The log-mass of the level's bin itself, which :meth:`unit_log_prob` bounds from below (nats)."""
        lower, scale = level_of(value) / LEVELS - self.loc, self.log_scale.exp()
        a, b = (lower + 1 / LEVELS) / scale, lower / scale
        # On the left tail of the mirrored law the difference of two small numbers keeps its digits.
        a, b = torch.where(b > 0, -b, a), torch.where(b > 0, -a, b)
        upper = torch.special.log_ndtr(a)
        return upper + torch.log(-torch.expm1(torch.special.log_ndtr(b) - upper))

    def log_prob(self, value: Tensor) -> Tensor:
        return sum_event(self.unit_log_prob(value), self.event_shape)

    def detached(self) -> "QuantisedNormal":
        return QuantisedNormal(self.loc.detach(), self.log_scale.detach(), event_axes=len(self.event_shape))

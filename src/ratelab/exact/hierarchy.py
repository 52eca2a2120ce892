"""A two-layer linear-Gaussian hierarchy whose layer-wise rates are known exactly (after Xiao and Bamler 2023, eq. 4-8).

z_2 ~ N(0, 1), z_1 | z_2 ~ N(a z_2, s1^2), x | z_1 ~ N(b z_1, s0^2); the data is the model's own p(x). Inference is top-down,
q(z_2|x) q(z_1|z_2, x). All results in nats; layers top first.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ratelab.core.errors import UserError
from ratelab.exact.gaussians import kl_diagonal, kl_full, kl_to_standard


@dataclass(frozen=True, eq=False)
class TopDown:
    """Any linear-Gaussian top-down inference: q(z_2|x) = N(w x, std2^2), q(z_1|z_2,x) = N(g z_2 + h x, std1^2).

    Numbers or float64 tensors of equal leading axes; differentiable.
    """

    w: Tensor
    std2: Tensor
    g: Tensor
    h: Tensor
    std1: Tensor

    def top(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of q(z_2|x)."""
        return self.w * x, self.std2

    def bottom(self, z2: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of q(z_1|z_2, x)."""
        return self.g * z2 + self.h * x, self.std1


class LayerRates(NamedTuple):
    """``rates``: (..., 2), R(z_2) then R(z_1|z_2); ``distortion``: (...); nats."""

    rates: Tensor
    distortion: Tensor


class Gaps(NamedTuple):
    """KL(q || m) of z_2, of z_2 and z_1 together, and of z_1 alone, nats, (...) each."""

    top: Tensor
    both: Tensor
    bottom: Tensor


@dataclass(frozen=True)
class LinearHierarchy:
    """The generative side: a, s1, b, s0, with its entropy, exact posteriors, and the rates these have.

    Raises :class:`~ratelab.core.errors.UserError` unless both standard deviations are greater than 0.

    >>> model = LinearHierarchy(a=1.0, s1=1.0, b=1.0, s0=0.5)
    >>> [round(r, 6) for r in model.optimal_rates], round(model.entropy, 6)
    ([0.293893, 0.804719], 1.824404)
    """

    a: float
    s1: float
    b: float
    s0: float

    def __post_init__(self) -> None:
        for name in ("s1", "s0"):
            if not getattr(self, name) > 0:
                raise UserError(f"{name}: a standard deviation must be greater than 0, got {getattr(self, name)}")

    @property
    def data_variance(self) -> float:
        """The variance of x: b^2 (a^2 + s1^2) + s0^2."""
        return self.b**2 * (self.a**2 + self.s1**2) + self.s0**2

    @property
    def entropy(self) -> float:
        """H = 1/2 log(2 pi e var x), the differential entropy of the data."""
        return 0.5 * math.log(2 * math.pi * math.e * self.data_variance)

    @property
    def optimal_rates(self) -> tuple[float, float]:
        """R(z_2) and R(z_1|z_2) of the exact posterior."""
        below = self.b**2 * self.s1**2 + self.s0**2
        return 0.5 * math.log(self.data_variance / below), 0.5 * math.log(below / self.s0**2)

    @property
    def optimal_rate(self) -> float:
        """The exact posterior's total rate, 1/2 log(1 + b^2 (a^2 + s1^2) / s0^2)."""
        return 0.5 * math.log1p(self.b**2 * (self.a**2 + self.s1**2) / self.s0**2)

    @property
    def optimal_distortion(self) -> float:
        """D of the exact posterior, 1/2 log(2 pi e s0^2); D + R = H."""
        return 0.5 * math.log(2 * math.pi * math.e * self.s0**2)

    @property
    def posterior(self) -> TopDown:
        """The exact posterior, factorised top-down."""
        variance1 = 1 / (1 / self.s1**2 + self.b**2 / self.s0**2)
        values = (
            self.a * self.b / self.data_variance,
            math.sqrt(1 - (self.a * self.b) ** 2 / self.data_variance),
            variance1 * self.a / self.s1**2,
            variance1 * self.b / self.s0**2,
            math.sqrt(variance1),
        )
        return TopDown(*(torch.tensor(value, dtype=torch.float64) for value in values))

    def measure(self, q: TopDown) -> LayerRates:
        """Exact layer rates and distortion of any inference ``q``, averaged over the data; differentiable in ``q``."""
        spread_x = self.data_variance
        second_moment2 = q.w**2 * spread_x + q.std2**2
        top = 0.5 * (second_moment2 - 1 - 2 * torch.log(q.std2))
        # g z_2 + h x - a z_2, the distance of the two means, has variance (g-a)^2 E z_2^2 + 2 (g-a) h E z_2 x + h^2 E x^2.
        off = q.g - self.a
        distance = off**2 * second_moment2 + 2 * off * q.h * q.w * spread_x + q.h**2 * spread_x
        bottom = 0.5 * ((q.std1**2 + distance) / self.s1**2 - 1) - torch.log(q.std1 / self.s1)
        second_moment1 = q.g**2 * second_moment2 + 2 * q.g * q.h * q.w * spread_x + q.h**2 * spread_x + q.std1**2
        cross = (q.g * q.w + q.h) * spread_x
        error = spread_x - 2 * self.b * cross + self.b**2 * second_moment1
        distortion = 0.5 * math.log(2 * math.pi * self.s0**2) + error / (2 * self.s0**2)
        return LayerRates(torch.stack((top, bottom), dim=-1), distortion)

    def gaps(self, q: TopDown) -> Gaps:
        """Exact divergences of the aggregated posterior of any inference ``q`` from the prior; differentiable in ``q``."""
        spread_x = self.data_variance
        variance2 = q.w**2 * spread_x + q.std2**2
        across = q.g * variance2 + q.h * q.w * spread_x
        variance1 = q.g * across + q.h * (q.g * q.w + q.h) * spread_x + q.std1**2
        rows = torch.stack((torch.stack((variance2, across), -1), torch.stack((across, variance1), -1)), -2)
        prior = rows.new_tensor([[1.0, self.a], [self.a, self.a**2 + self.s1**2]])
        origin = rows.new_zeros(2)
        parts = slice(0, 1), slice(0, 2), slice(1, 2)
        return Gaps(*(kl_full(origin[i], rows[..., i, i], origin[i], prior[i, i]) for i in parts))

    def rates(self, q: TopDown, z2: Tensor, x: Tensor) -> Tensor:
        """Layer KLs at given ``z2`` and ``x`` of equal shape (...): (..., 2); averaging z2 ~ q(z_2|x) gives the rates."""
        mean2, std2 = q.top(x)
        mean1, std1 = q.bottom(z2, x)
        prior1 = (self.a * z2)[..., None], torch.full_like(std1, self.s1)[..., None]
        top = kl_to_standard(mean2[..., None], std2[..., None])
        bottom = kl_diagonal(mean1[..., None], std1[..., None], *prior1)
        return torch.stack((top, bottom), dim=-1)

    def log_evidence(self, x: Tensor) -> Tensor:
        """log p(x) = log N(x; 0, var x), elementwise."""
        return _log_normal(x, torch.zeros_like(x), math.sqrt(self.data_variance))

    def log_joint(self, x: Tensor, z2: Tensor, z1: Tensor) -> Tensor:
        """log p(z_2) + log p(z_1|z_2) + log p(x|z_1), elementwise."""
        prior = _log_normal(z2, torch.zeros_like(z2), 1.0) + _log_normal(z1, self.a * z2, self.s1)
        return prior + _log_normal(x, self.b * z1, self.s0)


def _log_normal(value: Tensor, mean: Tensor, std: float) -> Tensor:
    return -0.5 * ((value - mean) / std) ** 2 - math.log(std) - 0.5 * math.log(2 * math.pi)

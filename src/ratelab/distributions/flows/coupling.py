"""Coupling flows: one half of the coordinates moves the other, so both directions take one pass.

NICE shifts (Dinh et al. 2014), Real-NVP shifts and scales (Dinh et al. 2017), neural splines bend each coordinate by a monotone
rational-quadratic spline (Durkan et al. 2019).
"""

from abc import abstractmethod
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from zuko.transforms import MonotonicRQSTransform

from ratelab.core.errors import UserError
from ratelab.distributions.flows.step import Moved, Step
from ratelab.networks.layers import dense_stack
from ratelab.networks.mlp import Widths

STEEPEST = 3.0  # |s| of a Real-NVP step stays below


class Coupling(Step):
    """The first half stays and, through fully connected layers of widths ``hidden``, decides how the rest moves."""

    ordered = True

    def __init__(self, size: int, context: int, per_unit: int, hidden: Widths) -> None:
        super().__init__()
        if size < 2:
            raise UserError("a coupling flow moves one half of the latents by the other and needs at least 2; use 'planar'")
        self.kept, self.per_unit = size // 2, per_unit
        widths = (self.kept + context, *hidden)
        self.network = nn.Sequential(dense_stack(widths, "relu"), nn.Linear(widths[-1], (size - self.kept) * per_unit))

    def _halves(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        kept, moving = z[..., : self.kept], z[..., self.kept :]
        seen = kept if context is None else torch.cat([kept, context.expand(*kept.shape[:-1], -1)], -1)
        return kept, moving, self.network(seen).unflatten(-1, (-1, self.per_unit))

    @abstractmethod
    def move(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """The moving half and its parameters -> the half moved, and the log-slope of each coordinate."""

    @abstractmethod
    def move_back(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """The inverse of :meth:`move`, with the log-slopes of the inverse."""

    def forward(self, z: Tensor, context: Tensor | None = None) -> Moved:
        kept, moving, parameters = self._halves(z, context)
        moved, log_slope = self.move(moving, parameters)
        return Moved(torch.cat([kept, moved], -1), log_slope.sum(-1))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Moved:
        kept, moving, parameters = self._halves(z, context)
        moved, log_slope = self.move_back(moving, parameters)
        return Moved(torch.cat([kept, moved], -1), log_slope.sum(-1))


class Nice(Coupling):
    """NICE: f(z) = (z_a, z_b + t(z_a)), log det 0."""

    def __init__(self, size: int, context: int = 0, *, hidden: Widths = (256, 256)) -> None:
        super().__init__(size, context, 1, hidden)

    def move(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return z + parameters[..., 0], torch.zeros_like(z)

    def move_back(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return z - parameters[..., 0], torch.zeros_like(z)


class RealNvp(Coupling):
    """Real-NVP: f(z) = (z_a, z_b exp(s(z_a)) + t(z_a)), log det = sum s, |s| < 3."""

    def __init__(self, size: int, context: int = 0, *, hidden: Widths = (256, 256)) -> None:
        super().__init__(size, context, 2, hidden)

    @staticmethod
    def _split(parameters: Tensor) -> tuple[Tensor, Tensor]:
        t, s = parameters.unbind(-1)
        return t, STEEPEST * torch.tanh(s / STEEPEST)

    def move(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        t, s = self._split(parameters)
        return z * torch.exp(s) + t, s

    def move_back(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        t, s = self._split(parameters)
        return (z - t) * torch.exp(-s), -s


class Spline(Coupling):
    """Neural spline: monotone rational-quadratic splines of ``bins`` pieces on [-bound, bound], the identity outside."""

    def __init__(
        self,
        size: int,
        context: int = 0,
        *,
        hidden: Widths = (256, 256),
        bins: Annotated[int, Field(ge=2)] = 8,
        bound: Annotated[float, Field(gt=0)] = 5.0,
    ) -> None:
        super().__init__(size, context, 3 * bins - 1, hidden)
        self.bins, self.bound = bins, bound

    def _spline(self, parameters: Tensor) -> MonotonicRQSTransform:
        return MonotonicRQSTransform(*parameters.split([self.bins, self.bins, self.bins - 1], -1), bound=self.bound)

    def move(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        moved, log_slope = self._spline(parameters).call_and_ladj(z)
        return moved, log_slope

    def move_back(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        before = self._spline(parameters)._inverse(z)
        return before, -self.move(before, parameters)[1]

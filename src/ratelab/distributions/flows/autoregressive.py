"""Inverse autoregressive steps: every coordinate is moved by what a MADE makes of the coordinates before it.

Drawing is parallel, the inverse sequential (Kingma et al. 2016; K19, eq. 3.18-3.32). Run backwards, the same steps are a masked
autoregressive flow (Papamakarios et al. 2017), which scores in parallel. Three rules are in use:

* mean-only, z - m: volume-preserving, four of them are the "+" of Alemi et al. 2018;
* gated, sigma z + (1 - sigma) m with sigma = sigmoid(s): K19's algorithm 3;
* affine, (z - m) exp(-s): the usual masked autoregressive flow.
"""

from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn import functional as F

from ratelab.distributions.flows.step import Moved, Step
from ratelab.networks.made import Degrees, Made
from ratelab.networks.mlp import Widths

FORGET_BIAS = 1.5  # s starts here: sigma = 0.82, most of z is kept (K19, section 3.2.6)
STEEPEST = 3.0  # |s| of an affine step stays below: one step scales a coordinate by a factor of 20 at most


class Autoregressive(Step):
    """What the three rules share; ``hidden`` are the widths of the MADE."""

    ordered = True
    parallel_inverse = False
    outputs = 2

    def __init__(
        self, size: int, context: int = 0, *, hidden: Widths = (640, 640, 640), degrees: Degrees = "even", seed: int = 0
    ) -> None:
        super().__init__()
        self.made = Made(size, self.outputs, hidden=hidden, context=context, degrees=degrees, seed=seed)

    @staticmethod
    @abstractmethod
    def rule(z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates (\\*lead, d) and their parameters (\\*lead, d, outputs) -> moved coordinates and d log-slopes."""

    @staticmethod
    @abstractmethod
    def undo(z: Tensor, parameters: Tensor) -> Tensor:
        """The inverse of :meth:`rule`."""

    def forward(self, z: Tensor, context: Tensor | None = None) -> Moved:
        value, log_slope = self.rule(z, self.made(z, context))
        return Moved(value, log_slope.sum(-1))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Moved:
        lead = z.shape[:-1] if context is None else torch.broadcast_shapes(z.shape[:-1], context.shape[:-1])
        z = z.expand(*lead, -1)
        slopes: list[Tensor] = []

        def fill(i: int, parameters: Tensor) -> Tensor:
            before = self.undo(z[..., i], parameters)
            slopes.append(self.rule(before, parameters)[1])
            return before

        value = self.made.unroll(fill, lead, context)
        return Moved(value, -torch.stack(slopes, -1).sum(-1))


class MeanOnly(Autoregressive):
    """Mean-only autoregressive: f(z) = z - m(z), log det 0 (Alemi et al. 2018, App. F)."""

    outputs = 1

    @staticmethod
    def rule(z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return z - parameters[..., 0], torch.zeros_like(z)

    @staticmethod
    def undo(z: Tensor, parameters: Tensor) -> Tensor:
        return z + parameters[..., 0]


class Gated(Autoregressive):
    """Gated autoregressive: f(z) = sigma z + (1 - sigma) m, sigma = sigmoid(s), log det = sum log sigma (K19, algorithm 3)."""

    def __init__(
        self, size: int, context: int = 0, *, hidden: Widths = (320, 320), degrees: Degrees = "even", seed: int = 0
    ) -> None:
        super().__init__(size, context, hidden=hidden, degrees=degrees, seed=seed)
        with torch.no_grad():
            self.made.out.bias[1::2] = FORGET_BIAS

    @staticmethod
    def rule(z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        m, s = parameters.unbind(-1)
        return m + torch.sigmoid(s) * (z - m), F.logsigmoid(s)

    @staticmethod
    def undo(z: Tensor, parameters: Tensor) -> Tensor:
        m, s = parameters.unbind(-1)
        return m + (z - m) * (1 + torch.exp(-s))


class Affine(Autoregressive):
    """Affine autoregressive: f(z) = (z - m) exp(-s), log det = -sum s, |s| < 3 (Papamakarios et al. 2017, eq. 3-5)."""

    @staticmethod
    def _split(parameters: Tensor) -> tuple[Tensor, Tensor]:
        m, s = parameters.unbind(-1)
        return m, STEEPEST * torch.tanh(s / STEEPEST)

    @staticmethod
    def rule(z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        m, s = Affine._split(parameters)
        return (z - m) * torch.exp(-s), -s

    @staticmethod
    def undo(z: Tensor, parameters: Tensor) -> Tensor:
        m, s = Affine._split(parameters)
        return z * torch.exp(s) + m

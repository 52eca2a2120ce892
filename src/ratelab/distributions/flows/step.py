"""The contract of a flow: an invertible map that says how it changes volumes, and compositions of such maps.

z_T = f_T(... f_1(z_0)), log q(z_T) = log q(z_0) - sum_t log |det dz_t/dz_{t-1}| (Rezende and Mohamed 2015; K19, eq. 3.10-3.16).
"""

import copy
from abc import abstractmethod
from collections.abc import Iterable
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

AnyModule = TypeVar("AnyModule", bound=nn.Module)


class Moved(NamedTuple):
    """Where a map took its input, (\\*lead, d), and log |det| of the map there, (\\*lead,), in nats."""

    value: Tensor
    log_det: Tensor


class Step(nn.Module):
    """One invertible map of (\\*lead, d), possibly steered by a ``context`` (\\*lead, c) of features of x.

    ``ordered``: it treats coordinates in an order, so the order is reversed between such steps. ``parallel_forward`` and
    ``parallel_inverse``: it moves all coordinates at once, or one after another.
    """

    ordered = False
    parallel_forward = True
    parallel_inverse = True

    @abstractmethod
    def forward(self, z: Tensor, context: Tensor | None = None) -> Moved:
        """The map, and its log-determinant at ``z``."""

    @abstractmethod
    def inverse(self, z: Tensor, context: Tensor | None = None) -> Moved:
        """The inverse map, and the inverse map's log-determinant at ``z``."""


class Flip(Step):
    """Reverses the order of the coordinates; keeps volumes."""

    def forward(self, z: Tensor, context: Tensor | None = None) -> Moved:
        return Moved(z.flip(-1), z.new_zeros(z.shape[:-1]))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Moved:
        return self(z)


class Composed(Step):
    """Steps one after another; log-determinants add (K19, eq. 3.14-3.15). Ordered steps are flipped in between."""

    def __init__(self, steps: Iterable[Step]) -> None:
        super().__init__()
        self.steps = nn.ModuleList()
        for step in steps:
            if len(self.steps) and step.ordered:
                self.steps.append(Flip())
            self.steps.append(step)
            self.parallel_forward = self.parallel_forward and step.parallel_forward
            self.parallel_inverse = self.parallel_inverse and step.parallel_inverse

    def forward(self, z: Tensor, context: Tensor | None = None) -> Moved:
        total = z.new_zeros(z.shape[:-1])
        for step in self.steps:
            z, log_det = step(z, context)
            total = total + log_det
        return Moved(z, total)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Moved:
        total = z.new_zeros(z.shape[:-1])
        for step in reversed(list(self.steps)):
            assert isinstance(step, Step)
            z, log_det = step.inverse(z, context)
            total = total + log_det
        return Moved(z, total)


class Inverse(Step):
    """A map run backwards: where an inverse autoregressive flow draws in parallel, its inverse scores in parallel (MAF)."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.step = step
        self.parallel_forward, self.parallel_inverse = step.parallel_inverse, step.parallel_forward

    def forward(self, z: Tensor, context: Tensor | None = None) -> Moved:
        return self.step.inverse(z, context)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Moved:
        return self.step(z, context)


class Dial(nn.Module):
    """The parameters of a step: free ones, or a linear function of the context that starts near ``initial`` (size,)."""

    def __init__(self, initial: Tensor, context: int) -> None:
        super().__init__()
        self.initial = nn.Parameter(initial.clone())
        self.weight = nn.Parameter(0.01 * torch.randn(initial.shape[0], context)) if context else None

    def forward(self, context: Tensor | None) -> Tensor:
        """(size,) without a context, else (\\*lead, size)."""
        if self.weight is None:
            return self.initial
        assert context is not None
        return context @ self.weight.T + self.initial


def held_fixed(module: AnyModule) -> AnyModule:
    """The same module on the same values, through which no gradient reaches its parameters."""
    twin = copy.copy(module)
    twin._parameters = {name: None if p is None else p.detach() for name, p in module._parameters.items()}  # type: ignore[misc]
    twin._modules = {name: None if m is None else held_fixed(m) for name, m in module._modules.items()}
    return twin

"""Roots of increasing scalar functions, for the inverses of flows that have no formula for them."""

from collections.abc import Callable

import torch
from torch import Tensor

HALVINGS = 60


def increasing_root(value: Callable[[Tensor], Tensor], low: Tensor, high: Tensor) -> Tensor:
    """Elementwise t in [low, high] with value(t) = 0 for an increasing function, by bisection, without gradient."""
    with torch.no_grad():
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            below = value(middle) < 0
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return 0.5 * (low + high)


def tanh_root(s: Tensor, c: Tensor, k: Tensor, b: Tensor) -> Tensor:
    """The root of t + c tanh(k t + b) = s, where c k > -1 makes it unique: behind planar and Sylvester flows.

    |t - s| <= |c|, so bisection cannot fail; one Newton step from its answer carries the gradient in all arguments.
    """
    t = increasing_root(lambda t: t + c * torch.tanh(k * t + b) - s, s - c.abs(), s + c.abs())
    bend = torch.tanh(k * t + b)
    return t - (t + c * bend - s) / (1 + c * k * (1 - bend.square()))

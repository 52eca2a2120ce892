"""Layers that several networks share: gated linear units and TensorFlow's "same" padding."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ratelab.networks.transposed import Deconv

Activation = Literal["relu", "tanh", "gated", "leaky-relu", "elu"]

_POINTWISE: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "leaky-relu": lambda: nn.LeakyReLU(0.2),
}


class Gate(nn.Module):
    """h(x) = (W1 x + b1) * sigmoid(W2 x + b2) (Alemi et al. 2018, App. F; the repeated b2 printed there is a slip).

    Both halves are one layer of twice the width, split along ``axis``.
    """

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, both: Tensor) -> Tensor:
        return F.glu(both, self.axis)


def dense(inputs: int, outputs: int, activation: Activation) -> nn.Sequential:
    """One fully connected layer with its activation; ``gated`` doubles the weights."""
    if activation == "gated":
        return nn.Sequential(nn.Linear(inputs, 2 * outputs), Gate(-1))
    return nn.Sequential(nn.Linear(inputs, outputs), _POINTWISE[activation]())


def dense_stack(widths: tuple[int, ...], activation: Activation) -> nn.Sequential:
    """Fully connected layers of the given widths (the first is the input's), each with its activation."""
    return nn.Sequential(*(dense(a, b, activation) for a, b in pairwise(widths)))


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding: output ceil(in / stride), the odd row of padding at the bottom and right."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding=kernel // 2 if stride == 1 and kernel % 2 else 0)

    def forward(self, x: Tensor) -> Tensor:
        if self.padding == (0, 0):
            rows, columns = (same_padding(n, self.kernel_size[0], self.stride[0]) for n in x.shape[-2:])
            x = F.pad(x, (*columns, *rows))
        return super().forward(x)


class SameDeconv(Deconv):
    """Transposed convolution with TensorFlow's SAME padding: output in * stride exactly."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding=(kernel - stride) // 2)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        height, width = (n * self.stride[0] for n in x.shape[-2:])
        return super().forward(x)[..., :height, :width]


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Rows to add before and after for a SAME convolution.

    >>> same_padding(28, 5, 2)
    (1, 2)
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def gated(layer: Callable[..., nn.Module], inputs: int, outputs: int, *shape: Any) -> nn.Sequential:
    """A gated convolution: two parallel ones, one gating the other, computed as one of twice the width."""
    return nn.Sequential(layer(inputs, 2 * outputs, *shape), Gate(-3))


def flat(x: Tensor, event_shape: tuple[int, ...]) -> Tensor:
    """The event axes as one: (\\*lead, \\*event) -> (\\*lead, D)."""
    return x if len(event_shape) == 1 else x.flatten(-len(event_shape))


def over_images(network: Callable[[Tensor], Tensor], x: Tensor, axes: int) -> Tensor:
    """Apply a network that knows one leading axis to ``x`` with any number of them; ``axes`` is the number of event axes."""
    lead = x.shape[: x.ndim - axes]
    if len(lead) == 1:
        return network(x)
    return network(x.reshape(-1, *x.shape[len(lead) :])).unflatten(0, lead)


def size_of(shape: tuple[int, ...]) -> int:
    """The number of values in an event.

    >>> size_of((3, 4, 4))
    48
    """
    return int(torch.Size(shape).numel())

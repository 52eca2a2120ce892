"""Numbers that change with the epoch: weights of a loss term, learning rates.

A schedule is a frozen description (it is part of a run's recipe) that maps an epoch, a float (epoch 2.5 is half way
through the third), to a factor. It works on floats and on tensors alike, so that it can sit inside a pure loss function.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol


class Schedule(Protocol):
    """Maps an epoch to a factor; ``epochs`` is the length of the whole training."""

    def __call__(self, epoch: Any, epochs: float) -> Any: ...


def clamp(value: Any, low: float, high: float) -> Any:
    """``value`` held in ``[low, high]``, for floats and tensors."""
    if hasattr(value, "clamp"):
        return value.clamp(low, high)
    return min(max(value, low), high)


@dataclass(frozen=True)
class Constant:
    """Always ``factor``."""

    factor: float = 1.0

    def __call__(self, epoch: Any, epochs: float) -> Any:
        return self.factor


@dataclass(frozen=True)
class ConstantThenLinear:
    """1 until ``constant`` of the training is over, then linearly to 0 at its end (Alemi et al. 2018, App. F.4).

    >>> s = ConstantThenLinear(constant=0.5)
    >>> s(100, 200), s(150, 200), s(200, 200)
    (1.0, 0.5, 0.0)
    """

    constant: float = 0.5

    def __call__(self, epoch: Any, epochs: float) -> Any:
        if self.constant >= 1:
            return 1.0
        return clamp((epochs - epoch) / (epochs * (1.0 - self.constant)), 0.0, 1.0)


@dataclass(frozen=True)
class ConstantThenCosine:
    """1 until ``constant`` of the training is over, then along half a cosine to 0 at its end (Loshchilov and Hutter 2017).

    >>> s = ConstantThenCosine(constant=0.0)
    >>> s(0, 200), round(s(50, 200), 4), s(200, 200)
    (1.0, 0.8536, 0.0)
    """

    constant: float = 0.0

    def __call__(self, epoch: float, epochs: float) -> float:
        left: float = ConstantThenLinear(self.constant)(epoch, epochs)
        return 0.5 - 0.5 * math.cos(math.pi * left)


@dataclass(frozen=True)
class PerEpoch:
    """``factor`` to the power of the epochs that are over: a step down at the end of each.

    >>> PerEpoch(0.5)(0, 14), PerEpoch(0.5)(2.7, 14)
    (1.0, 0.25)
    """

    factor: float

    def __call__(self, epoch: float, epochs: float) -> float:
        return self.factor ** math.floor(epoch)


@dataclass(frozen=True)
class Cooling:
    """max(``start`` e^(-``rate`` epoch), ``floor``): a temperature (Jang et al. 2017).

    >>> s = Cooling(start=1.0, rate=0.007, floor=0.4)
    >>> s(0, 500), round(s(100, 500), 4), s(200, 500)
    (1.0, 0.4966, 0.4)
    """

    start: float
    rate: float
    floor: float

    def __call__(self, epoch: float, epochs: float) -> float:
        return max(self.start * math.exp(-self.rate * epoch), self.floor)


@dataclass(frozen=True)
class Step:
    """1 until the share ``at`` of the training is over, ``factor`` from then on.

    >>> Step(at=0.4, factor=3.0)(39, 100), Step(at=0.4, factor=3.0)(40, 100)
    (1.0, 3.0)
    """

    at: float
    factor: float

    def __call__(self, epoch: Any, epochs: float) -> Any:
        late = epoch >= self.at * epochs
        return 1.0 + (self.factor - 1.0) * late

"""What an autoregressive decoder may say about one pixel: how many parameters it takes, and which law they make."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from ratelab.core.dataset import Support
from ratelab.core.law import Law
from ratelab.distributions.bernoulli import Bernoulli
from ratelab.distributions.levels import LEVELS, CategoricalLevels
from ratelab.distributions.logistic_mixture import LogisticMixture, mixture_parameters

PixelName = Literal["bernoulli", "categorical", "logistic-mixture"]


@dataclass(frozen=True)
class Pixels:
    """``parameters``: C -> P; ``law``: (\\*batch, P, H, W) and C -> a law of (C, H, W); ``support``: what it scores."""

    parameters: Callable[[int], int]
    law: Callable[[Tensor, int], Law]
    support: Support


def levels_law(parameters: Tensor, channels: int) -> Law:
    """256 logits for every colour, level by level."""
    return CategoricalLevels(parameters.unflatten(-3, (LEVELS, channels)), event_axes=3)


PIXELS: dict[PixelName, Pixels] = {
    "bernoulli": Pixels(lambda c: c, lambda p, c: Bernoulli(p, event_axes=3), Support.BINARY),
    "categorical": Pixels(lambda c: LEVELS * c, levels_law, Support.LEVELS),
    "logistic-mixture": Pixels(
        lambda c: mixture_parameters(c, 10), lambda p, c: LogisticMixture(p, channels=c), Support.LEVELS
    ),
}

"""The two-layer linear-Gaussian hierarchy as a model of the library, whose layer-wise numbers are known."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from ratelab.distributions.gaussians import DiagonalGaussian
from ratelab.exact.hierarchy import LinearHierarchy
from ratelab.exact.hierarchy import TopDown as Exact
from ratelab.marginals.normal import NormalMarginal
from ratelab.models.inference import Separate
from ratelab.models.top_down import TopDown

WORLD = LinearHierarchy(a=1.0, s1=1.0, b=1.0, s0=0.5)


class Line(nn.Module):
    """A Gaussian whose mean is linear in its inputs, x or latents, with one spread; learned or fixed."""

    def __init__(self, slopes: list[float], std: float, learned: bool) -> None:
        super().__init__()
        values = torch.tensor([*slopes, math.log(std)], dtype=torch.float64)
        self.values = nn.Parameter(values, requires_grad=learned)

    def forward(self, *inputs: Any) -> DiagonalGaussian:
        parts = [part for given in inputs for part in (given if isinstance(given, tuple) else (given,))]
        loc = sum(slope * part for slope, part in zip(self.values, parts, strict=False))
        assert isinstance(loc, Tensor)
        return DiagonalGaussian(loc, log_scale=self.values[-1])


def linear_hierarchy(q: Exact, learned: bool = False) -> TopDown:
    """:data:`WORLD` with the inference ``q``, in double precision; only the inference can be ``learned``."""
    w, std2, g, h, std1 = (float(value) for value in (q.w, q.std2, q.g, q.h, q.std1))
    encoders = [Line([w], std2, learned), Line([h, g], std1, learned)]
    below, decoder = Line([WORLD.a], WORLD.s1, False), Line([WORLD.b], WORLD.s0, False)
    return TopDown((1,), ((1,), (1,)), Separate(encoders), NormalMarginal((1,)).double(), [below], decoder)

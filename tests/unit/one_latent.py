"""The model z ~ N(0,1), x|z ~ N(w z, 1) seen through an encoder N(loc, scale) for each example: everything is known about it."""

import math

import torch
from torch import Tensor

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.objective import Setting
from ratelab.core.passes import Layer, Pass
from ratelab.distributions.gaussians import DiagonalGaussian, StandardNormal

SETTING = Setting((1,), ((1,),), 10, 1000)
LOG_EVIDENCE = -0.5 * math.log(4 * math.pi) - 0.25  # of x = 1 at w = 1


def a_pass(loc: Tensor, log_scale: Tensor, samples: int, seed: int = 0, w: Tensor | float = 1.0, x: float = 1.0) -> Pass:
    """``samples`` draws for each of the B rows of ``loc`` (B, 1); all rows are the same x."""
    encoder = DiagonalGaussian(loc, log_scale=log_scale)
    z = encoder.draw(LiveNoise(seed, dtype=loc.dtype), samples).value
    data = torch.full_like(loc, x).detach()
    decoder = DiagonalGaussian(w * z, log_scale=torch.zeros_like(z))
    return Pass(Batch(data), data, (Layer(z, encoder, StandardNormal((1,), z)),), decoder)


def rows(n: int, loc: float, scale: float) -> tuple[Tensor, Tensor]:
    """Leaves (n, 1) for location and log-scale: each row's gradient is one draw of the estimator's."""
    return (
        torch.full((n, 1), loc, dtype=torch.float64, requires_grad=True),
        torch.full((n, 1), math.log(scale), dtype=torch.float64, requires_grad=True),
    )

"""The Gaussian decoder with a stated sigma, fixed (Xiao and Bamler 2023) or learned with a soft floor.

A squared error is this decoder with a sigma nobody stated; here it is always stated, so that beta is a true slope.
"""

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from ratelab.core.dataset import Support
from ratelab.core.law import full_precision
from ratelab.core.table import Node
from ratelab.distributions.gaussians import DiagonalGaussian
from ratelab.networks import RENDERERS

LOG_SIGMA_FLOOR = -6.0


class GaussianDecoder(nn.Module):
    """d(x|z) = N(f(z), sigma^2 I), one sigma for all pixels.

    ``sigma``: a number, or ``learned``: log sigma = -6 + softplus(s + 6), whose optimum is sigma^2 = mean squared error.
    ``mean: sigmoid`` keeps f(z) in (0, 1).
    """

    fixed: Tensor
    scores = frozenset({Support.REAL, Support.UNIT, Support.LEVELS})

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        event_shape: tuple[int, ...],
        module: nn.Module | None = None,
        *,
        network: Annotated[Node, RENDERERS] = "mlp",
        sigma: Annotated[float, Field(gt=0)] | Literal["learned"] = "learned",
        mean: Literal["linear", "sigmoid"] = "linear",
    ) -> None:
        super().__init__()
        self.axes, self.squash = len(event_shape), mean == "sigmoid"
        wiring = (latent_shape, event_shape) if module is None else (latent_shape, event_shape, module)
        self.network = RENDERERS.build(network, *wiring)  # type: ignore[arg-type]
        if sigma == "learned":
            self.raw = nn.Parameter(torch.tensor(0.0))
        else:
            self.register_buffer("fixed", torch.tensor(math.log(sigma)), persistent=False)
        self.learned = sigma == "learned"

    @property
    def log_sigma(self) -> Tensor:
        """log sigma, a scalar; never below -6 where it is learned."""
        return LOG_SIGMA_FLOOR + F.softplus(self.raw - LOG_SIGMA_FLOOR) if self.learned else self.fixed

    def forward(self, z: Tensor) -> DiagonalGaussian:
        """z: (\\*lead, \\*latent) -> a law over (\\*lead,)."""
        out = full_precision(self.network(z))
        return DiagonalGaussian(torch.sigmoid(out) if self.squash else out, log_scale=self.log_sigma, event_axes=self.axes)

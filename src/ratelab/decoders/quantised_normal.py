"""The quantised normal decoder (Rosca et al. 2018, section 3.2)."""

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ratelab.core.dataset import Support
from ratelab.core.law import full_precision
from ratelab.core.table import Node
from ratelab.decoders.wiring import renderer
from ratelab.distributions.quantised import QuantisedNormal
from ratelab.networks import RENDERERS


class QuantisedNormalDecoder(nn.Module):
    """A normal law of dequantised levels with mean sigmoid(f(z)), and one sigma for all pixels.

    ``sigma``: a number on the scale where pixels lie in [0, 1), or ``learned`` (one scalar log sigma).
    Its score is the mean over the dequantisation noise, in closed form: a lower bound of the levels' log-mass.
    """

    log_sigma: Tensor
    scores = frozenset({Support.LEVELS})

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        event_shape: tuple[int, ...],
        module: nn.Module | None = None,
        *,
        network: Annotated[Node, RENDERERS] = "mlp",
        sigma: Annotated[float, Field(gt=0)] | Literal["learned"] = "learned",
    ) -> None:
        super().__init__()
        self.axes = len(event_shape)
        self.network = renderer(network, latent_shape, event_shape, module)
        if sigma == "learned":
            self.log_sigma = nn.Parameter(torch.tensor(-1.0))
        else:
            self.register_buffer("log_sigma", torch.tensor(math.log(sigma)), persistent=False)

    def forward(self, z: Tensor) -> QuantisedNormal:
        """z: (\\*lead, \\*latent) -> a law over (\\*lead,)."""
        return QuantisedNormal(torch.sigmoid(full_precision(self.network(z))), self.log_sigma, event_axes=self.axes)

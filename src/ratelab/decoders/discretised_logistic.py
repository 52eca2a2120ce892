"""The discretised logistic decoder (Kingma et al. 2016; Salimans et al. 2017)."""

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ratelab.core.dataset import Support
from ratelab.core.table import Node
from ratelab.decoders.wiring import renderer, several
from ratelab.distributions.discretised import Bins, DiscretisedLogistic
from ratelab.networks import RENDERERS


class DiscretisedLogisticDecoder(nn.Module):
    """A logistic law of every value, integrated over the bin of its level.

    ``scale``: a number on the scale where pixels lie in [-1, 1], ``learned`` (one scalar) or ``network`` (one for each value,
    from the network). ``bins``: ``centred`` with open outer bins, or ``lower-edge`` (inverse autoregressive flow, VampPrior
    codes). ``fallback``: PixelCNN++'s approximation of bins of mass below 1e-5.
    """

    log_scale: Tensor
    scores = frozenset({Support.LEVELS})

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        event_shape: tuple[int, ...],
        module: nn.Module | None = None,
        *,
        network: Annotated[Node, RENDERERS] = "mlp",
        scale: Annotated[float, Field(gt=0)] | Literal["learned", "network"] = "learned",
        bins: Bins = "centred",
        fallback: bool = False,
    ) -> None:
        super().__init__()
        self.axes, self.bins, self.fallback = len(event_shape), bins, fallback
        self.per_value = scale == "network"
        out_shape = several(2, event_shape) if self.per_value else event_shape
        self.network = renderer(network, latent_shape, out_shape, module)
        if scale == "learned":
            self.log_scale = nn.Parameter(torch.tensor(-2.0))
        elif isinstance(scale, float):
            self.register_buffer("log_scale", torch.tensor(math.log(scale)), persistent=False)

    def forward(self, z: Tensor) -> DiscretisedLogistic:
        """z: (\\*lead, \\*latent) -> a law over (\\*lead,)."""
        out = self.network(z)
        loc, log_scale = out.chunk(2, -self.axes) if self.per_value else (out, self.log_scale)
        return DiscretisedLogistic(loc, log_scale, event_axes=self.axes, bins=self.bins, fallback=self.fallback)

"""The decoder of ten discretised logistics with coupled colours (Salimans et al. 2017; an option of Xiao and Bamler 2023)."""

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from ratelab.core.dataset import Support
from ratelab.core.table import Node
from ratelab.decoders.wiring import image_shape, renderer
from ratelab.distributions.logistic_mixture import LogisticMixture, mixture_parameters
from ratelab.networks import RENDERERS


class LogisticMixtureDecoder(nn.Module):
    """A mixture of discretised logistics for every pixel, its colours coupled; pixels are independent given z.

    ``fallback``: PixelCNN++'s approximation of bins of mass below 1e-5.
    """

    scores = frozenset({Support.LEVELS})

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        event_shape: tuple[int, ...],
        module: nn.Module | None = None,
        *,
        network: Annotated[Node, RENDERERS] = "mlp",
        components: Annotated[int, Field(ge=1)] = 10,
        fallback: bool = False,
    ) -> None:
        super().__init__()
        self.channels, height, width = image_shape(event_shape, "logistic-mixture", "discretised-logistic")
        self.components, self.fallback = components, fallback
        out_shape = (mixture_parameters(self.channels, components), height, width)
        self.network = renderer(network, latent_shape, out_shape, module)

    def forward(self, z: Tensor) -> LogisticMixture:
        """z: (\\*lead, \\*latent) -> a law over (\\*lead,)."""
        return LogisticMixture(self.network(z), channels=self.channels, components=self.components, fallback=self.fallback)

"""The gated PixelCNN as a decoder (van den Oord et al. 2016), given maps that a network makes of z (PixelVAE, Gulrajani et al. 2017)."""

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from ratelab.core.dataset import Support
from ratelab.core.table import Node
from ratelab.decoders.pixels import PIXELS, PixelName
from ratelab.decoders.wiring import image_shape, renderer
from ratelab.distributions.autoregressive import Autoregressive
from ratelab.networks import RENDERERS
from ratelab.networks.gated_pixelcnn import GatedPixelCnn

Width = Annotated[int, Field(ge=1)]


class GatedPixelCnnDecoder(nn.Module):
    """Pixels given those before them and ``maps`` feature maps that ``network`` makes of z; one resolution, images of any size.

    ``pixels``: the law of one pixel. ``layers`` of kernel 3 after one of kernel 7: few layers see few pixels back, which leaves
    more for z to say. Drawing takes one step per pixel.
    """

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        event_shape: tuple[int, ...],
        module: nn.Module | None = None,
        *,
        network: Annotated[Node, RENDERERS] = "mlp",
        maps: Width = 8,
        pixels: PixelName = "bernoulli",
        features: Width = 64,
        layers: Annotated[int, Field(ge=0)] = 5,
    ) -> None:
        super().__init__()
        self.event_shape = image_shape(event_shape, "gated-pixelcnn", "gaussian")
        channels, height, width = self.event_shape
        self.pixels = PIXELS[pixels]
        self.maps = renderer(network, latent_shape, (maps, height, width), module)
        self.network = GatedPixelCnn(channels, self.pixels.parameters(channels), maps, features=features, layers=layers)

    @property
    def scores(self) -> frozenset[Support]:
        """The support of the law of one pixel."""
        return frozenset({self.pixels.support})

    def forward(self, z: Tensor) -> Autoregressive:
        """z: (\\*lead, \\*latent) -> a law over (\\*lead,)."""
        return Autoregressive(self.network, self.maps(z), self.event_shape, lambda p: self.pixels.law(p, self.event_shape[0]))

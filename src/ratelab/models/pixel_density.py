"""Laws of images without conditions, pixel after pixel: the networks of the autoregressive decoders, told nothing of any latent."""

from typing import Annotated

from pydantic import Field
from torch import nn

from ratelab.core.dataset import Support
from ratelab.core.law import Law
from ratelab.core.table import Table
from ratelab.decoders.pixels import PIXELS, PixelName
from ratelab.decoders.wiring import image_shape
from ratelab.distributions.autoregressive import Autoregressive
from ratelab.distributions.repeated import Repeated
from ratelab.networks.causal import RasterNetwork
from ratelab.networks.gated_pixelcnn import GatedPixelCnn
from ratelab.networks.pixelcnn import PixelCnn

Width = Annotated[int, Field(ge=1)]


class PixelLaw(nn.Module):
    """What both share: a network, and the law of one pixel."""

    network: RasterNetwork

    def __init__(self, event_shape: tuple[int, ...], name: str, pixels: PixelName) -> None:
        super().__init__()
        self.event_shape = image_shape(event_shape, name, "invertible")
        self.pixels = PIXELS[pixels]

    @property
    def scores(self) -> frozenset[Support]:
        """The support of the law of one pixel."""
        return frozenset({self.pixels.support})

    def forward(self, *lead: int) -> Law:
        """The law of an image, over batch axes ``lead``."""
        law = Autoregressive(self.network, None, self.event_shape, lambda p: self.pixels.law(p, self.event_shape[0]))
        return Repeated(law, *lead) if lead else law


class GatedPixelCnnLaw(PixelLaw):
    """The gated PixelCNN (van den Oord et al. 2016): ``layers`` of kernel 3 after one of kernel 7; images of any size."""

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        pixels: PixelName = "bernoulli",
        features: Width = 64,
        layers: Annotated[int, Field(ge=0)] = 5,
    ) -> None:
        super().__init__(event_shape, "gated-pixelcnn", pixels)
        channels = self.event_shape[0]
        self.network = GatedPixelCnn(channels, self.pixels.parameters(channels), features=features, layers=layers)


class PixelCnnPlusPlusLaw(PixelLaw):
    """The PixelCNN++-style network of Alemi et al. 2018: six blocks of ``layers`` residual layers; sides are multiples of 4."""

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        pixels: PixelName = "bernoulli",
        features: Width = 64,
        layers: Width = 2,
        all_skips: bool = True,
    ) -> None:
        super().__init__(event_shape, "pixelcnn++", pixels)
        channels, *side = self.event_shape
        self.network = PixelCnn(
            channels,
            (side[0], side[1]),
            self.pixels.parameters(channels),
            features=features,
            layers=layers,
            all_skips=all_skips,
        )


PIXEL_LAWS = Table("density of images", {"gated-pixelcnn": GatedPixelCnnLaw, "pixelcnn++": PixelCnnPlusPlusLaw})

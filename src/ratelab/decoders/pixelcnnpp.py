"""The autoregressive decoder of Alemi et al. 2018, App. F (their "+"): a PixelCNN++-style network given a map of z."""

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from ratelab.core.dataset import Support
from ratelab.core.errors import UserError
from ratelab.decoders.pixels import PIXELS, PixelName
from ratelab.decoders.wiring import image_shape
from ratelab.distributions.autoregressive import Autoregressive
from ratelab.networks.layers import dense, size_of
from ratelab.networks.pixelcnn import PixelCnn

Width = Annotated[int, Field(ge=1)]


class PixelCnnPlusPlusDecoder(nn.Module):
    """Pixels given those before them and z: z -> gated dense layer -> one map the size of the image, beside the image.

    ``pixels``: the law of one pixel. ``layers``: residual layers of each of the six blocks; ``all_skips`` gives the last two blocks
    one more, as PixelCNN++ does, so that every skip connection is used. ``unshifted``: add the map of z to both streams as
    well, without the shift that hides what lies at and after a pixel. Drawing takes one step per pixel.
    """

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        event_shape: tuple[int, ...],
        module: nn.Module | None = None,
        *,
        pixels: PixelName = "bernoulli",
        features: Width = 64,
        layers: Width = 2,
        all_skips: bool = True,
        unshifted: bool = False,
    ) -> None:
        super().__init__()
        if module is not None:
            raise UserError("decoder 'pixelcnn++' has a network of its own; give a module of yours to 'gated-pixelcnn'")
        self.event_shape = image_shape(event_shape, "pixelcnn++", "gaussian")
        if len(latent_shape) != 1:
            raise UserError(f"decoder 'pixelcnn++' takes a vector of latents, not one of shape {latent_shape}")
        channels, *side = self.event_shape
        self.pixels = PIXELS[pixels]
        self.network = PixelCnn(
            channels,
            (side[0], side[1]),
            self.pixels.parameters(channels),
            context=1,
            features=features,
            layers=layers,
            all_skips=all_skips,
            bias=unshifted,
        )
        self.map = dense(latent_shape[0], size_of(tuple(side)), "gated")

    @property
    def scores(self) -> frozenset[Support]:
        """The support of the law of one pixel."""
        return frozenset({self.pixels.support})

    def forward(self, z: Tensor) -> Autoregressive:
        """z: (\\*lead, d) -> a law over (\\*lead,)."""
        context = self.map(z).unflatten(-1, (1, *self.event_shape[1:]))
        return Autoregressive(self.network, context, self.event_shape, lambda p: self.pixels.law(p, self.event_shape[0]))

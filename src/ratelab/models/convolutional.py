"""A hierarchy whose latents are maps, all of it convolutional (a variant of Xiao and Bamler 2023's public code, after Minnen et al. 2018).

The code's layers are not published beyond 192 channels and 5x5 kernels. Chosen here: z_1 lies on an eighth of the image's sides and every
layer above on half the sides of the one below; ReLU, no normalisation; 3x3 heads as in the paper's other networks.
"""

from itertools import accumulate
from typing import Annotated

from pydantic import Field

from ratelab.core.dataset import Dataset
from ratelab.core.table import Node
from ratelab.decoders import DECODERS
from ratelab.encoders.maps import MapEncoder
from ratelab.marginals import MARGINALS
from ratelab.marginals.maps import MapConditional
from ratelab.models.check import check_latents, check_likelihood
from ratelab.models.inference import Separate
from ratelab.models.top_down import TopDown
from ratelab.networks.maps import HALVINGS, sides

Channels = Annotated[int, Field(ge=1)]
BERNOULLI: Node = {"name": "bernoulli", "network": "maps"}


class Convolutional(TopDown):
    """L maps of latents, top layer first, through 5x5 convolutions of ``width`` channels.

    ``latent_channels``: channels of each layer's map. On 32x32 images two layers lie on 2x2 and 4x4.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        latent_channels: Annotated[tuple[Channels, ...], Field(min_length=1)] = (192, 192),
        width: Channels = 192,
        decoder: Annotated[Node, DECODERS] = BERNOULLI,
        marginal: Annotated[Node, MARGINALS] = "normal",
    ) -> None:
        shape, depth = dataset.event_shape, len(latent_channels)
        way = sides(shape, HALVINGS + depth - 1)[: -depth - 1 : -1]  # of the latents, top first
        shapes = tuple((channels, *side) for channels, side in zip(latent_channels, way, strict=True))
        above = list(accumulate(([c] for c in latent_channels[:-1]), initial=list[int]()))
        super().__init__(
            shape,
            shapes,
            Separate(
                MapEncoder(shape[0], HALVINGS + depth - 1 - i, above[i], way[: i + 1], channels, width)
                for i, channels in enumerate(latent_channels)
            ),
            MARGINALS.build(marginal, shapes[0], dataset),  # type: ignore[arg-type]
            [MapConditional(above[i], way[: i + 1], latent_channels[i], width) for i in range(1, depth)],
            DECODERS.build(decoder, shapes[-1], shape),  # type: ignore[arg-type]
        )
        check_likelihood(self.decoder, decoder, dataset, standardise=False)
        check_latents(self.inference, self.marginal)

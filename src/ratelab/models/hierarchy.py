"""Several layers of latents through fully connected (or any tabled) networks, any number of them (Xiao and Bamler 2023).

The generalised top-down hierarchy (GHVAE) of eq. 1 and 4; :mod:`ratelab.models.top_down` has the passes.
"""

from itertools import accumulate
from typing import Annotated

from pydantic import Field
from torch import nn

from ratelab.core.dataset import Dataset
from ratelab.core.table import Node
from ratelab.decoders import DECODERS
from ratelab.encoders import ENCODERS
from ratelab.marginals import CONDITIONALS, MARGINALS
from ratelab.models.check import check_latents, check_likelihood
from ratelab.models.inference import Separate
from ratelab.models.standardise import Standardise
from ratelab.models.top_down import TopDown


class Hierarchy(TopDown):
    """L layers of latents, top layer first; L = 1 is the plain VAE, number for number.

    ``latent_dim``: one size per layer, top first. ``encoder`` describes every layer's encoder (each has its own weights),
    ``conditional`` the marginals of the layers below the top, whose ``marginal`` is a plain one.
    """

    def __init__(
        self,
        dataset: Dataset,
        encoder_module: nn.Module | None = None,
        decoder_module: nn.Module | None = None,
        *,
        latent_dim: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (8, 16),
        encoder: Annotated[Node, ENCODERS] = "gaussian",
        decoder: Annotated[Node, DECODERS] = "bernoulli",
        marginal: Annotated[Node, MARGINALS] = "normal",
        conditional: Annotated[Node, CONDITIONALS] = "gaussian",
        standardise: bool = False,
    ) -> None:
        shapes = tuple((d,) for d in latent_dim)
        layers = list(zip(shapes, [0, *accumulate(latent_dim[:-1])], strict=True))
        encoders = [
            ENCODERS.build(encoder, dataset.event_shape, shape, count, encoder_module)  # type: ignore[arg-type]
            for shape, count in layers
        ]
        super().__init__(
            dataset.event_shape,
            shapes,
            Separate(encoders),
            MARGINALS.build(marginal, shapes[0], dataset),  # type: ignore[arg-type]
            [CONDITIONALS.build(conditional, shape, count) for shape, count in layers[1:]],  # type: ignore[arg-type]
            DECODERS.build(decoder, shapes[-1], dataset.event_shape, decoder_module),  # type: ignore[arg-type]
            Standardise(dataset) if standardise else None,
        )
        check_likelihood(self.decoder, decoder, dataset, standardise)
        check_latents(encoders[0], self.marginal, layers=len(latent_dim))

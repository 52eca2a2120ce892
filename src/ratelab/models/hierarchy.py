"""Several layers of latents through fully connected (or any tabled) networks, any number of them (Xiao and Bamler 2023).

The generalised top-down hierarchy (GHVAE) of eq. 1 and 4; :mod:`ratelab.models.top_down` has the passes.
"""

from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import nn

from ratelab.core.dataset import Dataset
from ratelab.core.errors import UserError
from ratelab.core.table import Node
from ratelab.decoders import DECODERS
from ratelab.distributions.heads import GaussianHead
from ratelab.encoders import ENCODERS
from ratelab.encoders.trunk import Rung
from ratelab.marginals import CONDITIONALS, MARGINALS
from ratelab.models.check import check_latents, check_likelihood, check_merges
from ratelab.models.conditioned import CONDITIONINGS
from ratelab.models.inference import Inference, Ladder, Separate
from ratelab.models.standardise import Standardise
from ratelab.models.top_down import TopDown
from ratelab.networks.layers import dense_stack


class Hierarchy(TopDown):
    """L layers of latents, top layer first; L = 1 is the plain VAE, number for number.

    ``latent_dim``: one size per layer, top first. ``encoder`` describes every layer's encoder (each has its own weights), ``top`` that
    of the top layer where it is another (categorical latents above Gaussian ones), ``conditional`` the marginals of the layers
    below the top, whose ``marginal`` is a plain one. ``inference``: ``top-down``, one encoder per layer; ``ladder``, one
    deterministic path from x, on which the layers below the top are merged with their marginals; ``coupled``, the top layer too.
    """

    def __init__(
        self,
        dataset: Dataset,
        encoder_module: nn.Module | None = None,
        decoder_module: nn.Module | None = None,
        *,
        latent_dim: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (8, 16),
        encoder: Annotated[Node, ENCODERS] = "gaussian",
        top: Annotated[Node | None, ENCODERS] = None,
        decoder: Annotated[Node, DECODERS] = "bernoulli",
        marginal: Annotated[Node, MARGINALS] = "normal",
        conditional: Annotated[Node, CONDITIONALS] = "gaussian",
        inference: Literal["top-down", "ladder", "coupled"] = "top-down",
        standardise: bool = False,
        conditioning: Annotated[Node | None, CONDITIONINGS] = None,
    ) -> None:
        shapes = tuple((d,) for d in latent_dim)
        layers = list(zip(shapes, [0, *accumulate(latent_dim[:-1])], strict=True))
        super().__init__(
            dataset.event_shape,
            shapes,
            separate([top or encoder, *[encoder] * (len(shapes) - 1)], dataset.event_shape, layers, encoder_module)
            if inference == "top-down"
            else climbing(encoder, dataset.event_shape, latent_dim, encoder_module, couples_top=inference == "coupled"),
            MARGINALS.build(marginal, shapes[0], dataset),  # type: ignore[arg-type]
            [CONDITIONALS.build(conditional, shape, count) for shape, count in layers[1:]],  # type: ignore[arg-type]
            DECODERS.build(decoder, shapes[-1], dataset.event_shape, decoder_module),  # type: ignore[arg-type]
            Standardise(dataset) if standardise else None,
        )
        check_likelihood(self.decoder, decoder, dataset, standardise)
        if top is not None and inference != "top-down":
            raise UserError(f"model.top: with inference '{inference}' one path makes all layers; leave it out, or use top-down")
        encoders: Any = self.inference.encoders if isinstance(self.inference, Separate) else [self.inference]
        check_latents(encoders[0], self.marginal, below=encoders[1:])
        if inference == "coupled":
            check_merges(self.marginal)
        if conditioning is not None:
            wiring = [self.inference], self.decoder, [self.marginal, *self.conditionals], shapes
            self.conditioned = CONDITIONINGS.build(conditioning, *wiring)  # type: ignore[arg-type]


def separate(
    encoders: Iterable[Node],
    event_shape: tuple[int, ...],
    layers: Iterable[tuple[tuple[int, ...], int]],
    module: nn.Module | None,
) -> Inference:
    """An encoder for each layer, from x and the latents above it."""
    return Separate(
        ENCODERS.build(encoder, event_shape, shape, above, module)  # type: ignore[arg-type]
        for encoder, (shape, above) in zip(encoders, layers, strict=True)
    )


def climbing(
    encoder: Node, event_shape: tuple[int, ...], latent_dim: tuple[int, ...], module: nn.Module | None, couples_top: bool
) -> Inference:
    """The encoder's network, then ``joint`` layers for each step up; its ``spread`` serves every head."""
    if not isinstance(encoder, Mapping) or encoder["name"] != "gaussian":
        raise UserError("model.encoder: a ladder merges Gaussians; use 'gaussian', or inference: top-down")
    steps: list[nn.Module] = [Rung(event_shape, 0, module, encoder["network"], encoder["rescale"], ())]
    width: int = steps[0].width  # type: ignore[assignment]
    widths = [width]
    for _ in latent_dim[1:]:
        steps.append(dense_stack((width, *encoder["joint"]), "relu"))
        width = (width, *encoder["joint"])[-1]
        widths.insert(0, width)
    heads = [GaussianHead(w, (d,), encoder["spread"]) for w, d in zip(widths, latent_dim, strict=True)]
    return Ladder(steps, heads, couples_top)

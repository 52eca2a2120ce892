"""The two-layer networks of Xiao and Bamler 2023, layer by layer (appendix tables; public code ``timxzz/HIT``).

GHVAE has 122 713 parameters on binary 28x28 images (width 16, 20 latents on top) and 475 811 on 32x32x3 (width 32, 32 latents); LVAE
has 408 131 there.
"""

from typing import Annotated, Any, Literal

from pydantic import Field
from torch import nn

from ratelab.core.dataset import Dataset
from ratelab.core.errors import UserError
from ratelab.core.table import Node
from ratelab.decoders import DECODERS
from ratelab.distributions.heads import GaussianHead
from ratelab.encoders import ENCODERS
from ratelab.encoders.xiao2023 import XiaoLower, lower_head
from ratelab.marginals import CONDITIONALS, MARGINALS
from ratelab.models.check import check_latents, check_likelihood
from ratelab.models.inference import Inference, Ladder, Separate
from ratelab.models.top_down import TopDown
from ratelab.networks.layers import size_of
from ratelab.networks.xiao2023 import convolved, plan, quartered

BERNOULLI: Node = {"name": "bernoulli", "network": "xiao2023"}


class Xiao2023(TopDown):
    """A vector z_2 of ``latent_dim`` above a map z_1 of ``width`` channels, 4x4 for 28x28 and 32x32 images.

    ``inference``: ``top-down`` (the paper's GHVAE) or ``ladder`` (its LVAE, which wants the objective's ``annealing``). Variants of the
    public code: ``top``, another encoder of z_2 (``categorical``, with its marginal); ``vector``: z_1 is a vector of that many latents.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        latent_dim: Annotated[int, Field(ge=1)] = 20,
        width: Annotated[int, Field(ge=1)] = 16,
        inference: Literal["top-down", "ladder"] = "top-down",
        top: Annotated[Node | None, ENCODERS] = None,
        vector: Annotated[int, Field(ge=1)] | None = None,
        decoder: Annotated[Node, DECODERS] = BERNOULLI,
        marginal: Annotated[Node, MARGINALS] = "normal",
    ) -> None:
        _, side, _ = plan(dataset.event_shape)
        upper, bottom = (latent_dim,), (width, side, side) if vector is None else (vector,)
        if top is not None and inference == "ladder":
            raise UserError("model.top: a ladder has one path for both layers; leave it out, or use inference: top-down")
        node = top or {"name": "gaussian", "network": {"name": "xiao2023", "width": width}, "spread": "softplus"}
        conditional = {"name": "gaussian", "hidden": [max(size_of(bottom) // 2, 1)]}
        super().__init__(
            dataset.event_shape,
            (upper, bottom),
            separate(node, dataset.event_shape, latent_dim, bottom, width)
            if inference == "top-down"
            else ladder(dataset.event_shape, latent_dim, bottom, width),
            MARGINALS.build(marginal, upper, dataset),  # type: ignore[arg-type]
            [CONDITIONALS.build(conditional, bottom, latent_dim)],
            DECODERS.build(decoder, bottom, dataset.event_shape),  # type: ignore[arg-type]
        )
        check_likelihood(self.decoder, decoder, dataset, standardise=False)
        first: Any = self.inference.encoders[0] if isinstance(self.inference, Separate) else self.inference
        check_latents(first, self.marginal)


def separate(node: Node, event_shape: tuple[int, ...], latent_dim: int, bottom: tuple[int, ...], width: int) -> Inference:
    """q(z_2|x) q(z_1|z_2,x) of the GHVAE: nothing is shared."""
    upper = ENCODERS.build(node, event_shape, (latent_dim,))  # type: ignore[arg-type]
    return Separate([upper, XiaoLower(event_shape, bottom, latent_dim, width)])


def ladder(event_shape: tuple[int, ...], latent_dim: int, bottom: tuple[int, ...], width: int) -> Inference:
    """The LVAE's: the map behind the second convolution of q(z_2|x) also says, on a path of its own, what x tells about z_1."""
    channels, side, middle = plan(event_shape)
    top = GaussianHead(width * side**2, (latent_dim,), "softplus")
    lower = nn.Sequential(convolved(width, width, *middle), lower_head(bottom, width, side, "softplus-variance"))
    steps = (quartered(channels, width), nn.Sequential(convolved(width, width, *middle), nn.Flatten()))
    return Ladder(steps, (top, lower))

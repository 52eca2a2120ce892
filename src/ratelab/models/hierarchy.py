"""Several layers of latents with top-down inference (Xiao and Bamler 2023, eq. 1 and 4).

m(z_L) prod m(z_l | z_>l) d(x | z_1)  and  e(z_L | x) prod e(z_l | z_>l, x): inference draws the layers in the order in which
the model generates them, so the total rate splits into one rate per layer (eq. 6-7). Layers are listed top first everywhere.
"""

from collections.abc import Iterator
from itertools import accumulate, chain
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from ratelab.core.batch import Batch, Noise
from ratelab.core.dataset import Dataset
from ratelab.core.law import Law
from ratelab.core.model import Group, Model
from ratelab.core.passes import Layer, Pass
from ratelab.core.table import Node
from ratelab.decoders import DECODERS
from ratelab.encoders import ENCODERS
from ratelab.marginals import CONDITIONALS, MARGINALS
from ratelab.models.check import check_latents, check_likelihood
from ratelab.models.standardise import Standardise


class Hierarchy(Model):
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
        super().__init__()
        self.event_shape = dataset.event_shape
        self.latent_shapes = tuple((d,) for d in latent_dim)
        above = [0, *accumulate(latent_dim[:-1])]
        layers = list(zip(self.latent_shapes, above, strict=True))
        self.encoders = nn.ModuleList(
            ENCODERS.build(encoder, self.event_shape, shape, count, encoder_module)  # type: ignore[arg-type]
            for shape, count in layers
        )
        self.marginal = MARGINALS.build(marginal, self.latent_shapes[0], dataset)  # type: ignore[arg-type]
        self.conditionals = nn.ModuleList(
            CONDITIONALS.build(conditional, shape, count)  # type: ignore[arg-type]
            for shape, count in layers[1:]
        )
        self.decoder = DECODERS.build(decoder, self.latent_shapes[-1], self.event_shape, decoder_module)  # type: ignore[arg-type]
        self.standardise = Standardise(dataset) if standardise else None
        check_likelihood(self.decoder, decoder, dataset, standardise)
        check_latents(self.encoders[0], self.marginal, layers=len(latent_dim))

    def likelihood(self, z: Tensor) -> Law:
        """d(x | z_1), in the units of the data."""
        law = self.decoder(z)
        return law if self.standardise is None else self.standardise.law(law)

    def encode_top(self, x: Tensor) -> Law:
        """e(z_L|x) for x (B, \\*event)."""
        return self.encoders[0](x if self.standardise is None else self.standardise(x))

    def prior(self, layer: int, above: tuple[Tensor, ...], beside: Law | None = None) -> Law:
        """m(z_l | z_>l) for the layer at position ``layer`` from the top, about to score draws of the law ``beside`` it."""
        return self.conditionals[layer - 1](above) if layer else self.marginal(self.encode_top, beside)

    def infer(self, x: Tensor, noise: Noise, samples: int, path: bool) -> tuple[Layer, ...]:
        """All layers for x (B, \\*event), drawn top-down."""
        x = x if self.standardise is None else self.standardise(x)
        layers: list[Layer] = []
        above: tuple[Tensor, ...] = ()
        for position, encoder in enumerate(self.encoders):
            law = encoder(x, above)
            z, scored = law.draw(noise, None if above else samples)
            if not path:  # the density taken at the draw moves with z, so it is scored anew where z is held
                z, scored = z.detach(), None
            layers.append(Layer(z, law, self.prior(position, above, law), scored))
            above = (*above, z)
        return tuple(layers)

    def forward(self, batch: Batch, noise: Noise, samples: int = 1, path: bool = True) -> Pass:
        layers = self.infer(batch.x, noise, samples, path)
        return Pass(batch, batch.x, layers, self.likelihood(layers[-1].z))

    def generate(self, n: int, noise: Noise) -> Pass:
        top = self.prior(0, ())
        above: tuple[Tensor, ...] = (top.draw(noise, n).value.unsqueeze(0),)
        priors = [top]
        for conditional in self.conditionals:
            priors.append(conditional(above))
            above = (*above, priors[-1].draw(noise).value)
        decoder = self.likelihood(above[-1])
        x = decoder.draw(noise).value[0]
        seen = x if self.standardise is None else self.standardise(x)
        layers = tuple(
            Layer(z, encoder(seen, above[:position]), prior)
            for position, (z, encoder, prior) in enumerate(zip(above, self.encoders, priors, strict=True))
        )
        return Pass(Batch(x), x, layers, decoder, origin="model")

    def log_joint(self, x: Tensor, z: tuple[Tensor, ...]) -> Tensor:
        priors = sum((self.prior(i, z[:i]).log_prob(z[i]) for i in range(1, len(z))), start=self.prior(0, ()).log_prob(z[0]))
        return self.likelihood(z[-1]).log_prob(x) + priors

    def decode(self, z: tuple[Tensor, ...]) -> Tensor:
        return self.likelihood(z[-1]).mean

    def group(self, which: Group) -> Iterator[nn.Parameter]:
        if which == "inference":
            return self.encoders.parameters()
        return chain(self.decoder.parameters(), self.marginal.parameters(), self.conditionals.parameters())

"""The variational autoencoder with one layer of latents: e(z|x), d(x|z), m(z) (Kingma and Welling 2019; Alemi et al. 2018)."""

from collections.abc import Iterator
from itertools import chain
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
from ratelab.marginals import MARGINALS
from ratelab.models.check import check_latents, check_likelihood
from ratelab.models.conditioned import CONDITIONINGS, hung
from ratelab.models.standardise import Standardise


class Vae(Model):
    """One layer of latents, any encoder, decoder and marginal of the tables.

    ``dataset`` gives the shape, the support and, where ``standardise`` asks for it, the moments of the data. A user's own
    modules for the encoder's features and the decoder's network may be passed in place of the recipe's networks.
    """

    def __init__(
        self,
        dataset: Dataset,
        encoder_module: nn.Module | None = None,
        decoder_module: nn.Module | None = None,
        *,
        latent_dim: Annotated[int, Field(ge=1)] = 16,
        encoder: Annotated[Node, ENCODERS] = "gaussian",
        decoder: Annotated[Node, DECODERS] = "bernoulli",
        marginal: Annotated[Node, MARGINALS] = "normal",
        standardise: bool = False,
        conditioning: Annotated[Node | None, CONDITIONINGS] = None,
    ) -> None:
        super().__init__()
        self.event_shape = dataset.event_shape
        self.latent_shapes = ((latent_dim,),)
        latent_shape = self.latent_shapes[0]
        self.encoder = ENCODERS.build(encoder, self.event_shape, latent_shape, 0, encoder_module)  # type: ignore[arg-type]
        self.marginal = MARGINALS.build(marginal, latent_shape, dataset)  # type: ignore[arg-type]
        self.decoder = DECODERS.build(decoder, latent_shape, self.event_shape, decoder_module)  # type: ignore[arg-type]
        self.standardise = Standardise(dataset) if standardise else None
        check_likelihood(self.decoder, decoder, dataset, standardise)
        check_latents(self.encoder, self.marginal)
        if conditioning is not None:
            wiring = [self.encoder], self.decoder, [self.marginal], self.latent_shapes
            self.conditioned = CONDITIONINGS.build(conditioning, *wiring)  # type: ignore[arg-type]

    def encode(self, x: Tensor) -> Law:
        """e(z|x) for x (B, \\*event)."""
        return self.encoder(x if self.standardise is None else self.standardise(x))

    def likelihood(self, z: Tensor) -> Law:
        """d(x|z) for z (\\*lead, d), in the units of the data."""
        law = self.decoder(z)
        return law if self.standardise is None else self.standardise.law(law)

    def prior(self, beside: Law | None = None) -> Law:
        """m(z); ``beside`` is the encoder's law whose draws it is going to score."""
        return self.marginal(self.encode, beside)

    def forward(self, batch: Batch, noise: Noise, samples: int = 1, path: bool = True) -> Pass:
        with hung(self.conditioning, batch.condition):
            law = self.encode(batch.x)
            z, scored = law.draw(noise, samples)
            if not path:  # the density taken at the draw moves with z, so it is scored anew where z is held
                z, scored = z.detach(), None
            return Pass(batch, batch.x, (Layer(z, law, self.prior(law), scored),), self.likelihood(z))

    def generate(self, n: int, noise: Noise) -> Pass:
        with hung(self.conditioning):
            marginal = self.prior()
            z = marginal.draw(noise, n).value.unsqueeze(0)
            decoder = self.likelihood(z)
            x = decoder.draw(noise).value[0]
            return Pass(Batch(x), x, (Layer(z, self.encode(x), marginal),), decoder, origin="model")

    def log_joint(self, x: Tensor, z: tuple[Tensor, ...]) -> Tensor:
        with hung(self.conditioning):
            return self.likelihood(z[0]).log_prob(x) + self.prior().log_prob(z[0])

    def log_encoders(self, x: Tensor, z: tuple[Tensor, ...]) -> Tensor | None:
        with hung(self.conditioning):
            return self.encode(x).log_prob(z[0]).unsqueeze(-3)

    def decode(self, z: tuple[Tensor, ...]) -> Tensor:
        with hung(self.conditioning):
            return self.likelihood(z[0]).mean

    def group(self, which: Group) -> Iterator[nn.Parameter]:
        if which == "inference":
            return self.encoder.parameters()
        return chain(self.decoder.parameters(), self.marginal.parameters())

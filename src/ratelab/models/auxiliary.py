"""The auxiliary-variable posterior: e(z|x) = integral of e(u|x) e(z|x,u) du (Kingma and Welling 2019, section 3.1, eq. 3.1-3.9).

A reverse model r(u|x,z) makes the bound computable: L = E[log d(x|z) + log m(z) + log r(u|x,z) - log e(u|x) - log e(z|x,u)], which
is at most the ELBO of e(z|x), with equality where r is the posterior of u.
"""

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
from ratelab.models.check import check_latents, check_likelihood, check_no_vamp
from ratelab.models.standardise import Standardise


class Auxiliary(Model):
    """A VAE whose posterior is a mixture over ``auxiliary_dim`` auxiliary variables u, which are no part of the representation.

    ``auxiliary`` is e(u|x), ``encoder`` e(z|x,u) and ``reverse`` r(u|x,z). The rate is the total over u and z: it does not split.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        latent_dim: Annotated[int, Field(ge=1)] = 16,
        auxiliary_dim: Annotated[int, Field(ge=1)] = 8,
        auxiliary: Annotated[Node, ENCODERS] = "gaussian",
        encoder: Annotated[Node, ENCODERS] = "gaussian",
        reverse: Annotated[Node, ENCODERS] = "gaussian",
        decoder: Annotated[Node, DECODERS] = "bernoulli",
        marginal: Annotated[Node, MARGINALS] = "normal",
        standardise: bool = False,
    ) -> None:
        super().__init__()
        self.event_shape = dataset.event_shape
        self.latent_shapes = ((latent_dim,),)
        latents, extra = (latent_dim,), (auxiliary_dim,)
        self.auxiliary = ENCODERS.build(auxiliary, self.event_shape, extra)  # type: ignore[arg-type]
        self.encoder = ENCODERS.build(encoder, self.event_shape, latents, auxiliary_dim)  # type: ignore[arg-type]
        self.reverse = ENCODERS.build(reverse, self.event_shape, extra, latent_dim)  # type: ignore[arg-type]
        self.marginal = MARGINALS.build(marginal, latents, dataset)  # type: ignore[arg-type]
        self.decoder = DECODERS.build(decoder, latents, self.event_shape)  # type: ignore[arg-type]
        self.standardise = Standardise(dataset) if standardise else None
        check_likelihood(self.decoder, decoder, dataset, standardise)
        check_latents(self.encoder, self.marginal)
        check_no_vamp(self.marginal, "auxiliary")

    def _inside(self, x: Tensor) -> Tensor:
        return x if self.standardise is None else self.standardise(x)

    def likelihood(self, z: Tensor) -> Law:
        """d(x|z) for z (\\*lead, d), in the units of the data."""
        law = self.decoder(z)
        return law if self.standardise is None else self.standardise.law(law)

    def forward(self, batch: Batch, noise: Noise, samples: int = 1, path: bool = True) -> Pass:
        x = self._inside(batch.x)
        outer = self.auxiliary(x)
        u, scored_u = outer.draw(noise, samples)
        if not path:
            u, scored_u = u.detach(), None
        inner = self.encoder(x, (u,))
        z, scored_z = inner.draw(noise)
        if not path:
            z, scored_z = z.detach(), None
        layers = (
            Layer(u, outer, self.reverse(x, (z,)), scored_u, auxiliary=True, ahead=True),
            Layer(z, inner, self.marginal(), scored_z),
        )
        return Pass(batch, batch.x, layers, self.likelihood(z), splits=False)

    def generate(self, n: int, noise: Noise) -> Pass:
        marginal = self.marginal()
        z = marginal.draw(noise, n).value.unsqueeze(0)
        decoder = self.likelihood(z)
        x = decoder.draw(noise).value[0]
        inside = self._inside(x)
        reverse = self.reverse(inside, (z,))
        u = reverse.draw(noise).value
        layers = (
            Layer(u, self.auxiliary(inside), reverse, auxiliary=True, ahead=True),
            Layer(z, self.encoder(inside, (u,)), marginal),
        )
        return Pass(Batch(x), x, layers, decoder, origin="model", splits=False)

    def log_joint(self, x: Tensor, z: tuple[Tensor, ...]) -> Tensor:
        return self.likelihood(z[0]).log_prob(x) + self.marginal().log_prob(z[0])

    def decode(self, z: tuple[Tensor, ...]) -> Tensor:
        return self.likelihood(z[0]).mean

    def group(self, which: Group) -> Iterator[nn.Parameter]:
        if which == "inference":
            return chain(self.auxiliary.parameters(), self.encoder.parameters(), self.reverse.parameters())
        return chain(self.decoder.parameters(), self.marginal.parameters())

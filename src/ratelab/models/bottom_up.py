"""Bottom-up inference, the baseline that splits no rate (Xiao and Bamler 2023, Fig. 2a; the ancestral order of Kingma and Welling 2019).

e(z_1|x) prod e(z_l | z_{l-1}), against the generative order m(z_L) prod m(z_l | z_>l) d(x|z_1). Layers are drawn from the data up, so
the lower ones are drawn before what their marginals are given: only the total rate is a rate, and only samples tell it.
"""

from collections.abc import Iterator
from itertools import accumulate, chain, pairwise
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
from ratelab.models.check import check_latents, check_likelihood, check_no_vamp
from ratelab.models.standardise import Standardise


class BottomUp(Model):
    """L layers inferred from the data up. ``latent_dim``: one size per layer, top first, as everywhere.

    ``encoder`` is that of z_1, ``upper`` that of each layer above, which sees the one below it and not x. The rate is the total.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        latent_dim: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (8, 16),
        encoder: Annotated[Node, ENCODERS] = "gaussian",
        upper: Annotated[Node, ENCODERS] = "gaussian",
        decoder: Annotated[Node, DECODERS] = "bernoulli",
        marginal: Annotated[Node, MARGINALS] = "normal",
        conditional: Annotated[Node, CONDITIONALS] = "gaussian",
        standardise: bool = False,
    ) -> None:
        super().__init__()
        self.event_shape = dataset.event_shape
        self.latent_shapes = tuple((d,) for d in latent_dim)
        lowest = ENCODERS.build(encoder, self.event_shape, self.latent_shapes[-1])  # type: ignore[arg-type]
        higher = [
            ENCODERS.build(upper, below, shape)  # type: ignore[arg-type]
            for below, shape in pairwise(reversed(self.latent_shapes))
        ]
        self.encoders = nn.ModuleList([lowest, *higher])  # the order of inference
        self.marginal = MARGINALS.build(marginal, self.latent_shapes[0], dataset)  # type: ignore[arg-type]
        self.conditionals = nn.ModuleList(
            CONDITIONALS.build(conditional, shape, above)  # type: ignore[arg-type]
            for shape, above in zip(self.latent_shapes[1:], accumulate(latent_dim[:-1]), strict=True)
        )
        self.decoder = DECODERS.build(decoder, self.latent_shapes[-1], self.event_shape)  # type: ignore[arg-type]
        self.standardise = Standardise(dataset) if standardise else None
        check_likelihood(self.decoder, decoder, dataset, standardise)
        check_latents(self.encoders[-1], self.marginal, below=self.encoders if len(latent_dim) > 1 else ())
        check_no_vamp(self.marginal, "bottom-up")

    def likelihood(self, z: Tensor) -> Law:
        """d(x | z_1), in the units of the data."""
        law = self.decoder(z)
        return law if self.standardise is None else self.standardise.law(law)

    def _inside(self, x: Tensor) -> Tensor:
        return x if self.standardise is None else self.standardise(x)

    def prior(self, layer: int, above: tuple[Tensor, ...]) -> Law:
        """m(z_l | z_>l) for the layer at position ``layer`` from the top."""
        law: Law = self.conditionals[layer - 1](above) if layer else self.marginal()
        return law

    def _layer(self, position: int, z: tuple[Tensor, ...], law: Law, scored: Tensor | None = None) -> Layer:
        return Layer(z[position], law, self.prior(position, z[:position]), scored, ahead=position > 0)

    def forward(self, batch: Batch, noise: Noise, samples: int = 1, path: bool = True) -> Pass:
        below, laws, scores, z = self._inside(batch.x), list[Law](), list[Tensor | None](), tuple[Tensor, ...]()
        for encoder in self.encoders:
            law = encoder(below)
            below, scored = law.draw(noise, None if z else samples)
            if not path:  # the density taken at the draw moves with z, so it is scored anew where z is held
                below, scored = below.detach(), None
            laws.insert(0, law)
            scores.insert(0, scored)
            z = (below, *z)
        layers = tuple(self._layer(i, z, law, scored) for i, (law, scored) in enumerate(zip(laws, scores, strict=True)))
        return Pass(batch, batch.x, layers, self.likelihood(z[-1]), splits=False)

    def generate(self, n: int, noise: Noise) -> Pass:
        z: tuple[Tensor, ...] = (self.prior(0, ()).draw(noise, n).value.unsqueeze(0),)
        for position in range(1, len(self.latent_shapes)):
            z = (*z, self.prior(position, z).draw(noise).value)
        decoder = self.likelihood(z[-1])
        x = decoder.draw(noise).value[0]
        laws = [encoder(below) for encoder, below in zip(self.encoders, (self._inside(x), *reversed(z[1:])), strict=True)]
        layers = tuple(self._layer(i, z, law) for i, law in enumerate(reversed(laws)))
        return Pass(Batch(x), x, layers, decoder, origin="model", splits=False)

    def log_joint(self, x: Tensor, z: tuple[Tensor, ...]) -> Tensor:
        priors = sum((self.prior(i, z[:i]).log_prob(z[i]) for i in range(1, len(z))), start=self.prior(0, ()).log_prob(z[0]))
        return self.likelihood(z[-1]).log_prob(x) + priors

    def decode(self, z: tuple[Tensor, ...]) -> Tensor:
        return self.likelihood(z[-1]).mean

    def group(self, which: Group) -> Iterator[nn.Parameter]:
        if which == "inference":
            return self.encoders.parameters()
        return chain(self.decoder.parameters(), self.marginal.parameters(), self.conditionals.parameters())

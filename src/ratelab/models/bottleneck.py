"""The variational information bottleneck: z is to tell the label, at a price on what it keeps of x (Alemi et al. 2017, eq. 16-17).

max I(z; y) - beta I(z; x) (Tishby et al. 1999; Crescimanna and Graham 2019, eq. 11): with D = -E log d(y|z) the bound on it is
H(y) - (D + beta R), so any objective that prices or holds the rate steers it.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ratelab.core.batch import Batch, Noise
from ratelab.core.dataset import Dataset
from ratelab.core.errors import UserError
from ratelab.core.law import Law
from ratelab.core.model import Group, Model
from ratelab.core.passes import Layer, Pass
from ratelab.core.reference import ALEMI17, C19, Reference
from ratelab.core.table import Node
from ratelab.distributions.categorical import Categorical
from ratelab.encoders import ENCODERS
from ratelab.marginals import MARGINALS
from ratelab.models.check import check_latents
from ratelab.models.standardise import Standardise
from ratelab.networks import RENDERERS


class Bottleneck(Model):
    """Encoder e(z|x), classifier d(y|z), marginal m(z): the decoder scores the label, so the distortion is -log d(y|z).

    ``classifier``: the network from latents to the logits of the classes, of which there are as many as labels in the data.
    Examples without a label have a rate and no distortion.
    """

    target = "y"
    references = (Reference(ALEMI17, "eq. 16-17"), Reference(C19, "eq. 11"))

    def __init__(
        self,
        dataset: Dataset,
        *,
        latent_dim: Annotated[int, Field(ge=1)] = 16,
        encoder: Annotated[Node, ENCODERS] = "gaussian",
        classifier: Annotated[Node, RENDERERS] = {"name": "mlp", "hidden": []},  # noqa: B006 (never changed)
        marginal: Annotated[Node, MARGINALS] = "normal",
        standardise: bool = False,
    ) -> None:
        super().__init__()
        if dataset.train.y is None:
            raise UserError(f"model 'bottleneck' predicts labels, and '{dataset.name}' has none; use 'vae' or data with labels")
        self.event_shape, self.latent_shapes = dataset.event_shape, ((latent_dim,),)
        self.classes = 1 + max(
            int(split.y.max()) for split in (dataset.train, dataset.validation, dataset.test) if split.y is not None
        )
        latents = self.latent_shapes[0]
        self.encoder = ENCODERS.build(encoder, self.event_shape, latents)  # type: ignore[arg-type]
        self.marginal = MARGINALS.build(marginal, latents, dataset)  # type: ignore[arg-type]
        self.classifier = RENDERERS.build(classifier, latents, (self.classes,))  # type: ignore[arg-type]
        self.standardise = Standardise(dataset) if standardise else None
        check_latents(self.encoder, self.marginal)

    def encode(self, x: Tensor) -> Law:
        """e(z|x) for x (B, \\*event)."""
        law: Law = self.encoder(x if self.standardise is None else self.standardise(x))
        return law

    def likelihood(self, z: Tensor) -> Categorical:
        """d(y|z) for z (\\*lead, d)."""
        return Categorical(self.classifier(z))

    def prior(self, beside: Law | None = None) -> Law:
        """m(z); ``beside`` is the encoder's law whose draws it is going to score."""
        law: Law = self.marginal(self.encode, beside)
        return law

    def forward(self, batch: Batch, noise: Noise, samples: int = 1, path: bool = True) -> Pass:
        law = self.encode(batch.x)
        z, scored = law.draw(noise, samples)
        if not path:  # the density taken at the draw moves with z, so it is scored anew where z is held
            z, scored = z.detach(), None
        layers = (Layer(z, law, self.prior(law), scored),)
        if batch.y is None:
            return Pass(batch, torch.full_like(z[0, ..., 0], torch.nan), layers, None)
        return Pass(batch, batch.y, layers, self.likelihood(z))

    def generate(self, n: int, noise: Noise) -> Pass:
        """Labels of draws of the marginal; there is no law of x, so the rate of such a pass is unknown."""
        marginal = self.prior()
        z = marginal.draw(noise, n).value.unsqueeze(0)
        decoder = self.likelihood(z)
        y = decoder.draw(noise).value[0]
        return Pass(
            Batch(torch.full((n, *self.event_shape), torch.nan), y=y), y, (Layer(z, None, marginal),), decoder, origin="model"
        )

    def log_joint(self, x: Tensor, z: tuple[Tensor, ...]) -> Tensor:
        """log d(y|z) + log m(z) in nats, (K, B); the labels y stand in the place of x."""
        return self.likelihood(z[0]).log_prob(x) + self.prior().log_prob(z[0])

    def decode(self, z: tuple[Tensor, ...]) -> Tensor:
        """The most probable label."""
        return self.likelihood(z[0]).mean

    def group(self, which: Group) -> Iterator[nn.Parameter]:
        if which == "inference":
            return self.encoder.parameters()
        return chain(self.classifier.parameters(), self.marginal.parameters())

"""What all hierarchies with top-down inference share: the passes (Xiao and Bamler 2023, eq. 1, 4 and 6-7).

m(z_L) prod m(z_l | z_>l) d(x | z_1)  and  e(z_L | x) prod e(z_l | z_>l, x): inference draws the layers in the order in which
the model generates them, so the total rate splits into one rate per layer. Layers are listed top first everywhere.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from ratelab.core.batch import Batch, Noise
from ratelab.core.law import Law
from ratelab.core.model import Group, Model
from ratelab.core.passes import Layer, Pass
from ratelab.models.conditioned import hung
from ratelab.models.inference import Inference
from ratelab.models.standardise import Standardise


class TopDown(Model):
    """The wiring of an ``inference``, the ``marginal`` of the top layer, the ``conditionals`` of those below, and a ``decoder``.

    Subclasses make the parts and nothing else.
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        latent_shapes: tuple[tuple[int, ...], ...],
        inference: Inference,
        marginal: nn.Module,
        conditionals: Iterable[nn.Module],
        decoder: Any,
        standardise: Standardise | None = None,
    ) -> None:
        super().__init__()
        self.event_shape, self.latent_shapes = event_shape, latent_shapes
        self.inference, self.marginal, self.decoder = inference, marginal, decoder
        self.conditionals = nn.ModuleList(conditionals)
        self.standardise = standardise

    def likelihood(self, z: Tensor) -> Law:
        """d(x | z_1), in the units of the data."""
        law = self.decoder(z)
        return law if self.standardise is None else self.standardise.law(law)

    def _inside(self, x: Tensor) -> Tensor:
        return x if self.standardise is None else self.standardise(x)

    def encode_top(self, x: Tensor) -> Law:
        """e(z_L|x) for x (B, \\*event)."""
        return self.inference.law(0, self.inference.look(self._inside(x)), (), self._coupled_top())

    def prior(self, layer: int, above: tuple[Tensor, ...], beside: Law | None = None) -> Law:
        """m(z_l | z_>l) for the layer at position ``layer`` from the top, about to score draws of the law ``beside`` it."""
        return self.conditionals[layer - 1](above) if layer else self.marginal(self.encode_top, beside)

    def _coupled_top(self) -> Law | None:
        return self.marginal() if self.inference.couples_top else None

    def infer(self, x: Tensor, noise: Noise, samples: int, path: bool) -> tuple[Layer, ...]:
        """All layers for x (B, \\*event), drawn top-down."""
        seen = self.inference.look(self._inside(x))
        layers: list[Layer] = []
        above: tuple[Tensor, ...] = ()
        for position in range(len(self.latent_shapes)):
            prior = self.prior(position, above) if position else self._coupled_top()
            law = self.inference.law(position, seen, above, prior)
            z, scored = law.draw(noise, None if above else samples)
            if not path:  # the density taken at the draw moves with z, so it is scored anew where z is held
                z, scored = z.detach(), None
            layers.append(Layer(z, law, self.prior(0, (), law) if prior is None else prior, scored))
            above = (*above, z)
        return tuple(layers)

    def forward(self, batch: Batch, noise: Noise, samples: int = 1, path: bool = True) -> Pass:
        with hung(self.conditioning, batch.condition):
            layers = self.infer(batch.x, noise, samples, path)
            return Pass(batch, batch.x, layers, self.likelihood(layers[-1].z))

    def generate(self, n: int, noise: Noise) -> Pass:
        with hung(self.conditioning):
            return self._generated(n, noise)

    def _generated(self, n: int, noise: Noise) -> Pass:
        top = self.prior(0, ())
        above: tuple[Tensor, ...] = (top.draw(noise, n).value.unsqueeze(0),)
        priors = [top]
        for conditional in self.conditionals:
            priors.append(conditional(above))
            above = (*above, priors[-1].draw(noise).value)
        decoder = self.likelihood(above[-1])
        x = decoder.draw(noise).value[0]
        seen = self.inference.look(self._inside(x))
        layers = tuple(
            Layer(z, self._law_beside(position, seen, above[:position], prior), prior)
            for position, (z, prior) in enumerate(zip(above, priors, strict=True))
        )
        return Pass(Batch(x), x, layers, decoder, origin="model")

    def _law_beside(self, position: int, seen: tuple[Tensor, ...], above: tuple[Tensor, ...], prior: Law) -> Law:
        return self.inference.law(position, seen, above, prior if position else self._coupled_top())

    def log_joint(self, x: Tensor, z: tuple[Tensor, ...]) -> Tensor:
        with hung(self.conditioning):
            below = [self.prior(i, z[:i]).log_prob(z[i]) for i in range(1, len(z))]
            return self.likelihood(z[-1]).log_prob(x) + sum(below, start=self.prior(0, ()).log_prob(z[0]))

    def log_encoders(self, x: Tensor, z: tuple[Tensor, ...]) -> Tensor | None:
        with hung(self.conditioning):
            seen = self.inference.look(self._inside(x))
            rows = [
                self.inference.law(i, seen, z[:i], self.prior(i, z[:i]) if i else self._coupled_top()).log_prob(z[i])
                for i in range(len(z))
            ]
            return torch.stack(rows, -3)

    def decode(self, z: tuple[Tensor, ...]) -> Tensor:
        with hung(self.conditioning):
            return self.likelihood(z[-1]).mean

    def group(self, which: Group) -> Iterator[nn.Parameter]:
        if which == "inference":
            return self.inference.parameters()
        return chain(self.decoder.parameters(), self.marginal.parameters(), self.conditionals.parameters())

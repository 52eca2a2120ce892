"""Hamiltonian variational inference: a Gaussian draw moved towards the posterior by leapfrog steps (Salimans, Kingma and Welling 2015).

z_0 ~ e(z_0|x); at each transition a momentum v' ~ N(0, I) is drawn and (z, v') -> (z, v) by leapfrog under log d(x|z) m(z). With reverse
models r(v_t|x,z_t), L = E[log d(x|z_T) m(z_T) - log e(z_0|x) + sum_t (log r(v_t|x,z_t) - log N(v'_t; 0, I))] <= log p(x).
"""

import math
from collections.abc import Iterator
from itertools import chain
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ratelab.core.batch import Batch, Noise
from ratelab.core.dataset import Dataset
from ratelab.core.law import Law
from ratelab.core.model import Group, Model
from ratelab.core.passes import Layer, Pass
from ratelab.core.table import Node
from ratelab.decoders import DECODERS
from ratelab.distributions.gaussians import StandardNormal
from ratelab.encoders import ENCODERS
from ratelab.encoders.leapfrog import Force, leapfrog, leapfrog_back
from ratelab.marginals import MARGINALS
from ratelab.models.check import check_latents, check_likelihood, check_moves, check_no_vamp
from ratelab.models.standardise import Standardise


class Hamiltonian(Model):
    """A VAE whose encoder's draw z_0 is refined by ``transitions`` of ``leapfrogs`` leapfrog steps with learned step sizes.

    The momenta v_t are auxiliary layers; the density of z_T alone is an integral over them, so only the total rate is known.
    ``encoder`` is e(z_0|x), ``reverse`` describes r(v_t|x,z_t), with weights of its own for each transition.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        latent_dim: Annotated[int, Field(ge=1)] = 16,
        transitions: Annotated[int, Field(ge=1)] = 1,
        leapfrogs: Annotated[int, Field(ge=1)] = 5,
        step_size: Annotated[float, Field(gt=0)] = 0.05,
        encoder: Annotated[Node, ENCODERS] = "gaussian",
        reverse: Annotated[Node, ENCODERS] = "gaussian",
        decoder: Annotated[Node, DECODERS] = "bernoulli",
        marginal: Annotated[Node, MARGINALS] = "normal",
        standardise: bool = False,
    ) -> None:
        super().__init__()
        self.event_shape = dataset.event_shape
        self.latent_shapes = ((latent_dim,),)
        shape, self.leapfrogs = (latent_dim,), leapfrogs
        self.encoder = ENCODERS.build(encoder, self.event_shape, shape)  # type: ignore[arg-type]
        self.reverses = nn.ModuleList(
            ENCODERS.build(reverse, self.event_shape, shape, latent_dim)  # type: ignore[arg-type]
            for _ in range(transitions)
        )
        self.log_steps = nn.Parameter(torch.full((transitions, latent_dim), math.log(step_size)))
        self.marginal = MARGINALS.build(marginal, shape, dataset)  # type: ignore[arg-type]
        self.decoder = DECODERS.build(decoder, shape, self.event_shape)  # type: ignore[arg-type]
        self.standardise = Standardise(dataset) if standardise else None
        check_likelihood(self.decoder, decoder, dataset, standardise)
        check_moves(self.encoder, "hamiltonian")
        check_latents(self.encoder, self.marginal)
        check_no_vamp(self.marginal, "hamiltonian")

    def _inside(self, x: Tensor) -> Tensor:
        return x if self.standardise is None else self.standardise(x)

    def likelihood(self, z: Tensor) -> Law:
        """d(x|z) for z (\\*lead, d), in the units of the data."""
        law = self.decoder(z)
        return law if self.standardise is None else self.standardise.law(law)

    def force(self, x: Tensor) -> Force:
        """The gradient of log d(x|z) m(z) in z, itself differentiable."""
        return torch.func.grad(lambda z: self.log_joint(x, (z,)).sum())

    def forward(self, batch: Batch, noise: Noise, samples: int = 1, path: bool = True) -> Pass:
        x, force = self._inside(batch.x), self.force(batch.x)
        start = self.encoder(x)
        z, scored = start.draw(noise, samples)
        if not path:
            z, scored = z.detach(), None
        scored = start.log_prob(z) if scored is None else scored
        momentum = StandardNormal(self.latent_shapes[0], z)
        momenta: list[Layer] = []
        for log_step, reverse in zip(self.log_steps, self.reverses, strict=True):
            drawn = noise.normal(z.shape)
            z, v = leapfrog(z, drawn, force, log_step.exp(), self.leapfrogs)
            if not path:
                z, v = z.detach(), v.detach()
            momenta.append(Layer(v, None, reverse(x, (z,)), momentum.log_prob(drawn), auxiliary=True))
        layers = (*momenta, Layer(z, None, self.marginal(), scored))
        return Pass(batch, batch.x, layers, self.likelihood(z), splits=False)

    def generate(self, n: int, noise: Noise) -> Pass:
        marginal = self.marginal()
        z = marginal.draw(noise, n).value.unsqueeze(0)
        decoder = self.likelihood(z)
        x = decoder.draw(noise).value[0]
        inside, force = self._inside(x), self.force(x)
        momentum = StandardNormal(self.latent_shapes[0], z)
        momenta: list[Layer] = []
        at = z
        for log_step, reverse in zip(reversed(self.log_steps), reversed(list(self.reverses)), strict=True):
            law = reverse(inside, (at,))
            v = law.draw(noise).value
            at, drawn = leapfrog_back(at, v, force, log_step.exp(), self.leapfrogs)
            momenta.insert(0, Layer(v, None, law, momentum.log_prob(drawn), auxiliary=True))
        layers = (*momenta, Layer(z, None, marginal, self.encoder(inside).log_prob(at)))
        return Pass(Batch(x), x, layers, decoder, origin="model", splits=False)

    def log_joint(self, x: Tensor, z: tuple[Tensor, ...]) -> Tensor:
        return self.likelihood(z[0]).log_prob(x) + self.marginal().log_prob(z[0])

    def decode(self, z: tuple[Tensor, ...]) -> Tensor:
        return self.likelihood(z[0]).mean

    def group(self, which: Group) -> Iterator[nn.Parameter]:
        if which == "inference":
            return chain(self.encoder.parameters(), self.reverses.parameters(), iter((self.log_steps,)))
        return chain(self.decoder.parameters(), self.marginal.parameters())

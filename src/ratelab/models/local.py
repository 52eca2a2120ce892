"""Variational EM with local parameters: a posterior of its own for every row, no encoder network (K19, App. A, eq. A.6-A.10).

E-step: each row's N(mu, diag sigma^2) climbs its ELBO, E_q[log d(x|z)] - KL(q || m), with the generative side held fixed. M-step: the
optimiser's step on the generative side. A row that was not trained on is fitted when it is encoded.
"""

import math
from collections.abc import Iterator
from itertools import chain
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ratelab.core.batch import Batch, LiveNoise, Noise
from ratelab.core.dataset import Dataset
from ratelab.core.law import Law, sum_event
from ratelab.core.model import Group, Model
from ratelab.core.passes import Layer, Pass
from ratelab.core.reference import K19, Reference
from ratelab.core.table import Node
from ratelab.decoders import DECODERS
from ratelab.distributions.gaussians import DiagonalGaussian
from ratelab.marginals import MARGINALS
from ratelab.models.check import check_latents, check_likelihood, check_no_vamp
from ratelab.models.standardise import Standardise

Steps = Annotated[int, Field(ge=1)]


class LocalPosteriors(Model):
    """A VAE without an encoder: one diagonal Gaussian per row of the training split, kept between its visits.

    ``e_steps``: steps of Adam a row's posterior takes when a batch visits it, from where it stands; ``new_steps``: for a row that was
    not trained on, from the standard normal; ``e_rate``: their first step size, falling to 0. Expectations in these steps are means over
    2 x ``latent_dim`` fixed points with the Gaussian's first three moments.
    """

    references = (Reference(K19, "App. A, eq. A.6-A.10"),)
    stacks = False  # the rows' posteriors change in the forward pass
    loc: Tensor
    log_scale: Tensor
    points: Tensor

    def __init__(
        self,
        dataset: Dataset,
        *,
        latent_dim: Annotated[int, Field(ge=1)] = 16,
        decoder: Annotated[Node, DECODERS] = "bernoulli",
        marginal: Annotated[Node, MARGINALS] = "normal",
        standardise: bool = False,
        e_steps: Steps = 10,
        new_steps: Steps = 200,
        e_rate: Annotated[float, Field(gt=0)] = 0.1,
    ) -> None:
        super().__init__()
        self.event_shape, self.latent_shapes = dataset.event_shape, ((latent_dim,),)
        self.e_steps, self.new_steps, self.e_rate = e_steps, new_steps, e_rate
        self.marginal = MARGINALS.build(marginal, (latent_dim,), dataset)  # type: ignore[arg-type]
        self.decoder = DECODERS.build(decoder, (latent_dim,), self.event_shape)  # type: ignore[arg-type]
        self.standardise = Standardise(dataset) if standardise else None
        check_likelihood(self.decoder, decoder, dataset, standardise)
        check_latents(nn.Identity(), self.marginal)
        check_no_vamp(self.marginal, "local")
        for name in ("loc", "log_scale"):
            self.register_buffer(name, torch.zeros(len(dataset.train), latent_dim))
        self.register_buffer("points", cubature(latent_dim), persistent=False)

    def likelihood(self, z: Tensor) -> Law:
        """d(x|z) for z (\\*lead, d), in the units of the data."""
        law: Law = self.decoder(z)
        return law if self.standardise is None else self.standardise.law(law)

    def prior(self) -> Law:
        """m(z)."""
        law: Law = self.marginal()
        return law

    def elbo(self, x: Tensor, loc: Tensor, log_scale: Tensor) -> Tensor:
        """(B,) of posteriors N(loc, exp(log_scale)^2) (B, d), by the fixed points; nats."""
        law, prior = DiagonalGaussian(loc, log_scale=log_scale), self.prior()
        z = loc + log_scale.exp() * self.points
        kl = law.kl(prior)
        rate = (law.log_prob(z) - prior.log_prob(z)).mean(0) if kl is None else sum_event(kl, law.event_shape)
        return self.likelihood(z).log_prob(x).mean(0) - rate

    def fit(self, x: Tensor, loc: Tensor, log_scale: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """The posteriors after ``steps`` steps of ascent on :meth:`elbo` from (loc, log_scale), each row for itself."""
        ours = [value.detach().clone().requires_grad_() for value in (loc, log_scale)]
        optimiser = torch.optim.Adam(ours, lr=self.e_rate, betas=(0.8, 0.95))
        with torch.enable_grad():
            for step in range(steps):
                optimiser.param_groups[0]["lr"] = self.e_rate * (1 - step / steps)
                for value, slope in zip(ours, torch.autograd.grad(-self.elbo(x, *ours).sum(), ours), strict=True):
                    value.grad = slope
                optimiser.step()
        return ours[0].detach(), ours[1].detach()

    def posterior(self, batch: Batch) -> DiagonalGaussian:
        """The rows' posteriors after their E-step: kept ones in training, fitted ones elsewhere."""
        if self.training and batch.index is not None:
            rows = batch.index
            self.loc[rows], self.log_scale[rows] = self.fit(batch.x, self.loc[rows], self.log_scale[rows], self.e_steps)
            return DiagonalGaussian(self.loc[rows], log_scale=self.log_scale[rows])
        start = self.points.new_zeros(batch.size, self.latent_shapes[0][0])
        loc, log_scale = self.fit(batch.x, start, start, self.new_steps)
        return DiagonalGaussian(loc, log_scale=log_scale)

    def forward(self, batch: Batch, noise: Noise, samples: int = 1, path: bool = True) -> Pass:
        law = self.posterior(batch)
        z = law.draw(noise, samples).value
        return Pass(batch, batch.x, (Layer(z, law, self.prior()),), self.likelihood(z))

    def generate(self, n: int, noise: Noise) -> Pass:
        marginal = self.prior()
        z = marginal.draw(noise, n).value.unsqueeze(0)
        decoder = self.likelihood(z)
        x = decoder.draw(noise).value[0]
        start = self.points.new_zeros(n, self.latent_shapes[0][0])
        loc, log_scale = self.fit(x.detach(), start, start, self.new_steps)
        return Pass(Batch(x), x, (Layer(z, DiagonalGaussian(loc, log_scale=log_scale), marginal),), decoder, origin="model")

    def log_joint(self, x: Tensor, z: tuple[Tensor, ...]) -> Tensor:
        return self.likelihood(z[0]).log_prob(x) + self.prior().log_prob(z[0])

    def decode(self, z: tuple[Tensor, ...]) -> Tensor:
        return self.likelihood(z[0]).mean

    def group(self, which: Group) -> Iterator[nn.Parameter]:
        return iter(()) if which == "inference" else chain(self.decoder.parameters(), self.marginal.parameters())


def cubature(dimensions: int) -> Tensor:
    """(2d, 1, d) points +- sqrt(d) q_i with orthonormal q_i in general position: their mean is 0 and their covariance the identity.

    Expectations of polynomials up to the third degree under N(0, I) are exact means over them.

    >>> points = cubature(3)[:, 0]
    >>> torch.allclose(points.mT @ points / 6, torch.eye(3), atol=1e-5)
    True
    """
    rotation = torch.linalg.qr(LiveNoise(0).normal((dimensions, dimensions)))[0]
    points = math.sqrt(dimensions) * rotation
    return torch.cat([points, -points]).unsqueeze(1)

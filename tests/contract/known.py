"""Many random linear-Gaussian VAEs side by side in one model, so that a thousand of them are measured in one pass."""

import copy
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ratelab.core.batch import Batch, Noise
from ratelab.core.estimator import Estimator
from ratelab.core.law import Draw, Law
from ratelab.core.model import Model
from ratelab.core.passes import Layer, Pass
from ratelab.distributions.gaussians import DiagonalGaussian, StandardNormal
from ratelab.estimators.averages import Column
from ratelab.exact import gaussians
from ratelab.exact.linear_gaussian import LinearGaussianVAE


def random_worlds(models: int, n: int, k: int, seed: int, near: bool) -> LinearGaussianVAE:
    """``models`` random VAEs of ``n`` dimensions and ``k`` <= 2 latents, on data that they do not fit, with diagonal encoders.

    ``near``: each encoder is about its model's posterior and wider, so that importance weights have a finite variance (in two dimensions
    1.4 times a covariance's diagonal is more than 0.7 times the covariance); otherwise encoders have nothing to do with it.
    """
    stream = torch.Generator().manual_seed(seed)

    def spread(*shape: int) -> Tensor:
        """Numbers of mean 0 and variance 1 that are never large: no model is out of reach of a few temperatures."""
        return math.sqrt(12) * (torch.rand(models, *shape, dtype=torch.float64, generator=stream) - 0.5)

    mean, root = spread(n), 0.6 * spread(n, n)
    exact = LinearGaussianVAE(
        mean=mean,
        covariance=root @ root.mT + 0.3 * torch.eye(n),
        encoder_weight=0.6 * spread(k, n),
        encoder_bias=0.5 * spread(k),
        encoder_covariance=spread(k).exp(),
        decoder_weight=0.8 * spread(n, k),
        decoder_bias=mean + 0.3 * spread(n),
        sigma2=0.5 * (0.5 * spread()).exp(),
    )
    if not near:
        return exact
    posterior = at_posterior(exact)
    width = posterior.encoder_covariance.diagonal(dim1=-2, dim2=-1)
    shift = 0.3 * width.sqrt() * spread(k)
    return replace(posterior, encoder_bias=posterior.encoder_bias + shift, encoder_covariance=1.4 * width)


def at_posterior(exact: LinearGaussianVAE, weight: float = 1.0) -> LinearGaussianVAE:
    """The same decoders with the encoder m(z) d(x|z)^weight / Z(x): the model's posterior, or its best channel at that slope."""
    cooled = replace(exact, sigma2=exact.sigma2 / weight)
    origin, covariance = cooled.model_posterior(torch.zeros_like(exact.mean))
    gain = covariance @ exact.decoder_weight.mT / cooled.sigma2[..., None, None]
    return replace(exact, encoder_weight=gain, encoder_bias=origin, encoder_covariance=covariance)


def cross_entropy(exact: LinearGaussianVAE) -> Tensor:
    """(M,) -E log p_d(x) over the data's law."""
    spread = exact.model_covariance
    moment = exact.covariance + _outer(exact.mean - exact.decoder_bias)
    return gaussians.entropy(spread) + 0.5 * (_trace(torch.linalg.solve(spread, moment)) - exact.mean.shape[-1])


def model_information(exact: LinearGaussianVAE) -> Tensor:
    """(M,) I_d, of x and z under the model."""
    return 0.5 * (gaussians.log_determinant(exact.model_covariance) - exact.mean.shape[-1] * exact.sigma2.log())


def generative_lower(exact: LinearGaussianVAE) -> Tensor:
    """(M,) E = E_{m(z) d(x|z)}[log e(z|x) - log m(z)], by the moments of z - W x - b."""
    w, k = exact.encoder_weight, exact.encoder_bias.shape[-1]
    blind = torch.eye(k, dtype=torch.float64) - w @ exact.decoder_weight
    moment = blind @ blind.mT + exact.sigma2[..., None, None] * w @ w.mT + _outer(exact.encode(exact.decoder_bias))
    scaled = _trace(torch.linalg.solve(exact.encoder_covariance, moment))
    return 0.5 * (k - gaussians.log_determinant(exact.encoder_covariance) - scaled)


def _trace(matrix: Tensor) -> Tensor:
    return matrix.diagonal(dim1=-2, dim2=-1).sum(-1)


def _outer(vector: Tensor) -> Tensor:
    return vector.unsqueeze(-1) * vector.unsqueeze(-2)


class Numbered(Law):
    """A Gaussian of an example, behind which the number of its model stands as one more value that costs nothing."""

    def __init__(self, law: DiagonalGaussian, number: Tensor) -> None:
        self.law, self.number = law, number
        self.batch_shape, self.event_shape = law.batch_shape, (law.event_shape[0] + 1,)

    def _behind(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.number.to(x).expand(x.shape[:-1]).unsqueeze(-1)], -1)

    def draw(self, noise: Noise, samples: int | None = None) -> Draw:
        return Draw(self._behind(self.law.draw(noise, samples).value))

    def log_prob(self, value: Tensor) -> Tensor:
        return self.law.log_prob(value[..., :-1])

    @property
    def mean(self) -> Tensor:
        return self._behind(self.law.loc)

    def detached(self) -> "Numbered":
        return Numbered(self.law.detached(), self.number)


class Worlds(Model):
    """M linear-Gaussian VAEs with diagonal encoders. The last value of an example says which of them it belongs to."""

    def __init__(self, exact: LinearGaussianVAE) -> None:
        super().__init__()
        self.exact, self.models = exact, len(exact.mean)
        self.spread = exact.encoder_covariance.diagonal(dim1=-2, dim2=-1).sqrt()
        self.event_shape, self.latent_shapes = (exact.mean.shape[-1] + 1,), ((self.spread.shape[-1],),)

    def data(self, examples: int, seed: int) -> Batch:
        """``examples`` of each model's data law, model after model."""
        stream = torch.Generator().manual_seed(seed)
        noise = torch.randn(self.models, examples, self.event_shape[0] - 1, dtype=torch.float64, generator=stream)
        x = self.exact.mean.unsqueeze(1) + noise @ torch.linalg.cholesky(self.exact.covariance).mT
        number = torch.arange(self.models).repeat_interleave(examples)
        return Batch(torch.cat([x.flatten(0, 1), number.unsqueeze(-1)], -1))

    def _encoder(self, x: Tensor) -> DiagonalGaussian:
        number = x[:, -1].long()
        loc = torch.einsum("bkn,bn->bk", self.exact.encoder_weight[number], x[:, :-1]) + self.exact.encoder_bias[number]
        return DiagonalGaussian(loc, scale=self.spread[number])

    def _decoder(self, z: Tensor, number: Tensor) -> Numbered:
        loc = torch.einsum("bnk,sbk->sbn", self.exact.decoder_weight[number], z) + self.exact.decoder_bias[number]
        scale = self.exact.sigma2[number].sqrt().unsqueeze(-1).expand(loc.shape)
        return Numbered(DiagonalGaussian(loc, scale=scale), number)

    def _marginal(self, like: Tensor) -> StandardNormal:
        return StandardNormal(self.latent_shapes[0], like)

    def forward(self, batch: Batch, noise: Noise, samples: int = 1, path: bool = True) -> Pass:
        law = self._encoder(batch.x)
        z = law.draw(noise, samples).value
        return Pass(batch, batch.x, (Layer(z, law, self._marginal(z)),), self._decoder(z, batch.x[:, -1].long()))

    def generate(self, n: int, noise: Noise) -> Pass:
        number = torch.arange(n) * self.models // n
        z = noise.normal((1, n, *self.latent_shapes[0]))
        decoder = self._decoder(z, number)
        x = decoder.draw(noise).value[0]
        return Pass(Batch(x), x, (Layer(z, self._encoder(x), self._marginal(z)),), decoder, origin="model")

    def log_joint(self, x: Tensor, z: tuple[Tensor, ...]) -> Tensor:
        return self._decoder(z[0], x[:, -1].long()).log_prob(x) + self._marginal(z[0]).log_prob(z[0])

    def decode(self, z: tuple[Tensor, ...]) -> Tensor:
        raise NotImplementedError

    def group(self, which: str) -> Iterator[torch.nn.Parameter]:
        return iter(())


def shares(whole: Estimator, models: int) -> Iterator[Any]:
    """The estimator as each of ``models`` would have left it with its own examples alone: equal runs of the rows of every column."""

    def cut(value: Any) -> Any:
        if isinstance(value, Column):
            return [Column([part]) for part in np.split(value.values, models, axis=-1)]
        if isinstance(value, list) and value and isinstance(value[0], Column):
            return [list(row) for row in zip(*map(cut, value), strict=True)]
        return None

    parts = {name: found for name, value in vars(whole).items() if (found := cut(value)) is not None}
    for i in range(models):
        one = copy.copy(whole)
        for name, found in parts.items():
            setattr(one, name, found[i])
        yield one

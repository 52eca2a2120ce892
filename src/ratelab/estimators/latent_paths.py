"""Paths through a model's latents: from the encoder's moments, or from the marginal, to the joint d(x|z) m(z)."""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ratelab.core.batch import Batch, Noise
from ratelab.core.codes import represented
from ratelab.core.estimator import Needs
from ratelab.core.law import Law
from ratelab.core.model import Model
from ratelab.core.passes import Layer
from ratelab.distributions.gaussians import DiagonalGaussian
from ratelab.estimators.hmc import Path

DRAWS = 32  # of the encoder, for its moments
NARROWEST = 0.01


def joined(layers: Sequence[Layer]) -> Tensor:
    """(K, B, n): the layers' draws side by side, each flattened."""
    return torch.cat([layer.z.flatten(2) for layer in layers], -1)


def parted(z: Tensor, model: Model) -> tuple[Tensor, ...]:
    """(\\*lead, n) as one (\\*lead, \\*event_l) tensor per layer, top layer first."""
    parts = z.split([math.prod(shape) for shape in model.latent_shapes], -1)
    return tuple(part.unflatten(-1, shape) for part, shape in zip(parts, model.latent_shapes, strict=True))


def moments(model: Model, x: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
    """Mean and spread (B, n) of all latents together under e(z|x), from draws; the spread is at least :data:`NARROWEST`."""
    draws = joined(represented(model(Batch(x), noise, DRAWS)))
    return draws.mean(0), draws.std(0).clamp_min(NARROWEST)


class FromEncoder(Path):
    """From N(mean, spread^2) with the encoder's moments to d(x|z) m(z): a short way where the encoder is good.

    Needs no density of the encoder, and takes hierarchies as one vector of latents.
    """

    def __init__(self, model: Model, x: Tensor, mean: Tensor, spread: Tensor) -> None:
        self.model, self.x, self.mean, self.spread = model, x, mean, spread
        self.law = DiagonalGaussian(mean, scale=spread)

    def draw(self, noise: Noise, chains: int) -> Tensor:
        return self.law.draw(noise, chains).value

    def scores(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return self.law.log_prob(z), self.model.log_joint(self.x, parted(z, self.model))

    def scale(self, b: float) -> Tensor:
        return self.spread

    def rows(self, index: Tensor) -> "FromEncoder":
        return FromEncoder(self.model, self.x[index], self.mean[index], self.spread[index])


class FromMarginal(Path):
    """From m(z) to d(x|z) m(z), by m(z) d(x|z)^b; b may go beyond 1. One layer of latents."""

    def __init__(self, model: Model, x: Tensor, marginal: Law, wide: Tensor, narrow: Tensor) -> None:
        self.model, self.x, self.marginal, self.wide, self.narrow = model, x, marginal, wide, narrow

    def draw(self, noise: Noise, chains: int) -> Tensor:
        return self.marginal.draw(noise, chains * len(self.x)).value.flatten(1).unflatten(0, (chains, len(self.x)))

    def scores(self, z: Tensor) -> tuple[Tensor, Tensor]:
        (value,) = parts = parted(z, self.model)
        return self.marginal.log_prob(value), self.model.log_joint(self.x, parts)

    def scale(self, b: float) -> Tensor:
        share = min(b, 1.0)
        return self.wide ** (1 - share) * self.narrow**share

    def rows(self, index: Tensor) -> "FromMarginal":
        return FromMarginal(self.model, self.x[index], self.marginal, self.wide, self.narrow[index])


def from_marginal(model: Model, x: Tensor, noise: Noise) -> FromMarginal:
    """The path from m(z)."""
    _, narrow = moments(model, x, noise)
    (layer,) = represented(model.generate(256, noise))
    return FromMarginal(model, x, layer.marginal, joined((layer,))[0].std(0).clamp_min(NARROWEST), narrow)


def from_encoder(model: Model, x: Tensor, noise: Noise) -> FromEncoder:
    """The path from the encoder's moments."""
    return FromEncoder(model, x, *moments(model, x, noise))


def thinned(batch: Batch, every: int) -> Tensor:
    """The examples (B', \\*event) of a batch whose row in the data set is a multiple of ``every``."""
    return batch.x[kept_rows(batch, every)]


def kept_rows(batch: Batch, every: int) -> Tensor:
    """Which examples of a batch :func:`thinned` keeps, (B',)."""
    index = torch.arange(batch.size, device=batch.x.device) if batch.index is None else batch.index
    return (index % every == 0).nonzero().squeeze(-1)


def enough(needs: Needs, every: int) -> Needs:
    """``needs``, and so many examples that one in ``every`` is two of them: fewer have no standard error."""
    return needs if every == 1 else replace(needs, examples=max(needs.examples, every + 1))

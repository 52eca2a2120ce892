"""How many latents are used: the units whose posterior mean moves with x (Burda et al. 2016, section 5.2).

A_u = Var_x(E[z_u | x]) > threshold. Means that are themselves averages over draws (of the layers above, or of a flow) vary more than
the true ones, by their variance within x over the number of draws, which is taken off.
"""

import math
from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field

from ratelab.core.batch import Batch, Noise
from ratelab.core.codes import represented
from ratelab.core.errors import UserError
from ratelab.core.estimate import Estimate
from ratelab.core.estimator import Estimator, Needs, Result
from ratelab.core.model import Model
from ratelab.core.passes import Layer, Pass
from ratelab.core.reference import BURDA16, Reference
from ratelab.core.units import COUNT
from ratelab.distributions.flowed import Flowed
from ratelab.distributions.point import Implicit
from ratelab.estimators.averages import Column


class ActiveUnits(Estimator):
    """``active_units``: a count for each layer, top layer first. ``threshold``: of the variance; ``samples``: draws per example."""

    references = (Reference(BURDA16, "section 5.2"),)
    needs = Needs(likelihood=False, examples=2)

    def __init__(self, *, threshold: Annotated[float, Field(gt=0)] = 0.01, samples: Annotated[int, Field(ge=2)] = 8) -> None:
        self.threshold, self.samples = threshold, samples
        self.means: list[Column] = []
        self.within: list[Column] = []

    def check(self, model: Model, seen: Pass) -> None:
        if seen.weights is not None or not represented(seen):
            raise UserError("estimator 'active-units' counts latents with a mean, and this model has none; leave it out")

    def observe(self, model: Model, batch: Batch, noise: Noise) -> None:
        layers = represented(model(batch, noise, self.samples))
        if not self.means:
            self.means, self.within = [Column() for _ in layers], [Column() for _ in layers]
        for layer, means, within in zip(layers, self.means, self.within, strict=True):
            values = posterior_means(layer).flatten(2)
            means.add(values.mean(0).mT)
            within.add(values.var(0).mT)

    def merge(self, other: Estimator) -> None:
        assert isinstance(other, ActiveUnits)
        for mine, theirs in zip((*self.means, *self.within), (*other.means, *other.within), strict=True):
            mine.merge(theirs)

    def result(self) -> Mapping[str, Result]:
        counts = []
        for position, (means, within) in enumerate(zip(self.means, self.within, strict=True)):
            values = means.values
            n = values.shape[-1]
            variance = values.var(-1, ddof=1) - within.values.mean(-1) / self.samples
            of = f"units of layer {len(self.means) - position} with Var_x E[z|x] > {self.threshold:g}, of {len(values)}"
            counts.append(Estimate(float((variance > self.threshold).sum()), math.nan, n, of, "estimate", COUNT))
        return {"active_units": counts}


def posterior_means(layer: Layer) -> torch.Tensor:
    """(K, B, \\*event) whose expectation over the K samples is E[z | x]: the law's mean where it is one, else its draws."""
    if layer.encoder is None or isinstance(layer.encoder, (Flowed, Implicit)):
        return layer.z
    return layer.encoder.mean.expand(layer.z.shape)

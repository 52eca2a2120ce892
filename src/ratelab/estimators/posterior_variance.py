"""How wide the posteriors are: E_x Var[z_u | x], the mean over the units of a layer (Rosca et al. 2018, section 6.2 and Fig. 6).

Beside a marginal of variance 1: 1 where the units carry nothing about x, 0 where an encoder gives every x a point.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from ratelab.core.batch import Batch, Noise
from ratelab.core.codes import represented
from ratelab.core.errors import UserError
from ratelab.core.estimator import Estimator, Needs, Result
from ratelab.core.model import Model
from ratelab.core.passes import Pass
from ratelab.core.reference import R18, Reference
from ratelab.core.units import COUNT
from ratelab.estimators.averages import Column, mean_of


class PosteriorVariance(Estimator):
    """``posterior_variance``: one number for each layer, top layer first, from ``samples`` draws per example, without bias.

    Of a layer below others the variance is that of all draws for one x, whatever was drawn above.
    """

    references = (Reference(R18, "Fig. 6"),)
    needs = Needs(likelihood=False)

    def __init__(self, *, samples: Annotated[int, Field(ge=2)] = 8) -> None:
        self.samples = samples
        self.variances: list[Column] = []

    def check(self, model: Model, seen: Pass) -> None:
        if seen.weights is not None or not represented(seen):
            raise UserError(
                "estimator 'posterior-variance' looks at draws of the latents, and this model has none; leave it out"
            )

    def observe(self, model: Model, batch: Batch, noise: Noise) -> None:
        layers = represented(model(batch, noise, self.samples))
        if not self.variances:
            self.variances = [Column() for _ in layers]
        for layer, variances in zip(layers, self.variances, strict=True):
            variances.add(layer.z.flatten(2).var(0).mean(-1))

    def merge(self, other: Estimator) -> None:
        assert isinstance(other, PosteriorVariance)
        for mine, theirs in zip(self.variances, other.variances, strict=True):
            mine.merge(theirs)

    def result(self) -> Mapping[str, Result]:
        layers = len(self.variances)
        return {
            "posterior_variance": [
                mean_of(column.values, f"E_x Var[z_u|x] of layer {layers - position}, mean over its units", unit=COUNT)
                for position, column in enumerate(self.variances)
            ]
        }

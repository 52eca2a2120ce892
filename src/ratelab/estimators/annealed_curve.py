"""The rate-distortion curve of a trained decoder and marginal, without its encoder (Huang et al. 2020).

The best channel at slope b is m(z) d(x|z)^b / Z_b(x). Annealed importance sampling from m(z) visits those channels in turn: with the
self-normalised weights of the chains, D = E[-log d] and R = -E[log Z_b] - b D are one point: R + b D is in expectation above its value
on the curve, of R and D alone neither side is known (Huang et al. 2020, section 4). No encoder has to be good for it: what lies
above a model's own point is its encoder's loss.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from torch import Tensor

from ratelab.core.batch import Batch, Noise
from ratelab.core.estimator import Estimator, Result
from ratelab.core.model import Model
from ratelab.core.passes import Pass
from ratelab.core.reference import HUANG20, Reference
from ratelab.estimators.annealing import Annealing, Travelled, sigmoid_schedule
from ratelab.estimators.averages import Column, mean_of
from ratelab.estimators.gathered import Gathered
from ratelab.estimators.lacks import check_continuous, check_one_layer
from ratelab.estimators.latent_paths import from_marginal
from ratelab.estimators.scores import Score

Slopes = Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]


class AnnealedCurve(Gathered):
    """``annealed_rates`` and ``annealed_distortions``: one point of the decoder's curve for each slope in ``betas``.

    ``betas``: the slopes -dD/dR is 1 / b of; b = 1 is the model's own posterior. Options as for ``ais``; each slope is a
    journey of its own from m(z). One layer of latents.
    """

    references = (Reference(HUANG20, "section 4"),)

    def __init__(
        self,
        *,
        betas: Slopes = (0.25, 0.5, 1.0, 2.0, 4.0),
        chains: Annotated[int, Field(ge=1)] = 8,
        temperatures: Annotated[int, Field(ge=1)] = 100,
        leapfrogs: Annotated[int, Field(ge=1)] = 5,
        every: Annotated[int, Field(ge=1)] = 1,
    ) -> None:
        super().__init__(every)
        self.betas, self.chains = betas, chains
        self.journeys = [Annealing(sigmoid_schedule(temperatures, last=b), leapfrogs) for b in betas]
        self.rates = [Column() for _ in betas]
        self.distortions = [Column() for _ in betas]
        self.score = Score()

    def check(self, model: Model, seen: Pass) -> None:
        check_continuous(seen, "annealed-curve")
        check_one_layer(seen, "annealed-curve")

    def work(self, model: Model, x: Tensor, noise: Noise) -> None:
        path = from_marginal(model, x, noise)
        self.score = Score.of(model(Batch(x[:1]), noise).decoder)
        for b, journey, rates, distortions in zip(self.betas, self.journeys, self.rates, self.distortions, strict=True):
            found: Travelled = journey.forward(path, journey.steps(path, noise), self.chains, noise)
            distortion = -(found.normalised * found.state.log_ratio).sum(0)
            distortions.add(distortion)
            rates.add(-found.log_mean - b * distortion)

    def merge(self, other: Estimator) -> None:
        super().merge(other)
        assert isinstance(other, AnnealedCurve)
        for mine, theirs in zip((*self.rates, *self.distortions), (*other.rates, *other.distortions), strict=True):
            mine.merge(theirs)

    def result(self) -> Mapping[str, Result]:
        self.finish()
        score = self.score
        side = score.bound("estimate")
        return {
            "annealed_rates": [
                mean_of(column.values, f"rate of the decoder's best channel at weight {b:g} of D", side, why=score.why)
                for b, column in zip(self.betas, self.rates, strict=True)
            ],
            "annealed_distortions": [
                mean_of(column.values, f"{score.distortion} of the same channel, weight {b:g}", side, why=score.why)
                for b, column in zip(self.betas, self.distortions, strict=True)
            ],
        }

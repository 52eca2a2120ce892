"""Bidirectional Monte Carlo: the likelihood bracketed from both sides on data drawn from the model (Grosse et al. 2015; Wu et al. 2017).

For x drawn from the model together with its z, that z is an exact draw of the model's posterior. Chains that are annealed from it
back to the start give a lower bound on -log p(x) in expectation, chains annealed forwards an upper one. Their gap bounds the error of
annealed importance sampling there; on real data it suggests it.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from torch import Tensor

from ratelab.core.batch import Noise
from ratelab.core.codes import represented
from ratelab.core.errors import UserError
from ratelab.core.estimator import Estimator, Result
from ratelab.core.model import Model
from ratelab.core.passes import Pass
from ratelab.core.reference import GROSSE15, WU17, Reference
from ratelab.estimators.annealed import PATHS, Start
from ratelab.estimators.annealing import Annealing, sigmoid_schedule
from ratelab.estimators.averages import Column, mean_of
from ratelab.estimators.gathered import Gathered
from ratelab.estimators.lacks import check_continuous, check_one_layer
from ratelab.estimators.latent_paths import joined
from ratelab.estimators.scores import NO_LIKELIHOOD, Score


class Bidirectional(Gathered):
    """``bidirectional_upper``, ``bidirectional_lower`` and their ``bidirectional_gap``, on as many draws of the model as examples.

    ``every``: one draw for every so many examples. Options as for ``ais``; about twice its cost.
    """

    references = (Reference(GROSSE15), Reference(WU17, "section 4"))

    def __init__(
        self,
        *,
        chains: Annotated[int, Field(ge=1)] = 8,
        temperatures: Annotated[int, Field(ge=1)] = 100,
        leapfrogs: Annotated[int, Field(ge=1)] = 5,
        start: Start = "encoder",
        every: Annotated[int, Field(ge=1)] = 1,
    ) -> None:
        super().__init__(every)
        self.chains, self.start = chains, start
        self.annealing = Annealing(sigmoid_schedule(temperatures), leapfrogs)
        self.upper, self.lower, self.score = Column(), Column(), Score()

    def check(self, model: Model, seen: Pass) -> None:
        check_continuous(seen, "bidirectional")
        if self.start == "marginal":
            check_one_layer(seen, "bidirectional from m(z)")
        if not Score.of(seen.decoder).normalised:
            raise UserError(f"estimator 'bidirectional': {NO_LIKELIHOOD}, so nothing can be drawn from it; leave it out")

    def work(self, model: Model, x: Tensor, noise: Noise) -> None:
        drawn = model.generate(len(x), noise)
        self.score = Score.of(drawn.decoder)
        x, exact = drawn.target, joined(represented(drawn))
        path = PATHS[self.start](model, x, noise)
        steps = self.annealing.steps(path, noise)
        self.upper.add(-self.annealing.forward(path, steps, self.chains, noise).log_mean)
        back = self.annealing.backward(path, steps, exact.expand(self.chains, -1, -1), noise)
        self.lower.add(-back.log_harmonic_mean)

    def merge(self, other: Estimator) -> None:
        super().merge(other)
        assert isinstance(other, Bidirectional)
        self.upper.merge(other.upper)
        self.lower.merge(other.lower)

    def result(self) -> Mapping[str, Result]:
        self.finish()
        of = f"{self.score.evidence} of the model's own draws"
        upper, lower = self.upper.values, self.lower.values
        return {
            "bidirectional_upper": mean_of(upper, of, "upper"),
            "bidirectional_lower": mean_of(lower, of, "lower"),
            "bidirectional_gap": mean_of(
                upper - lower, "error of annealed importance sampling on the model's own draws", "upper"
            ),
        }

"""The negative log-likelihood by annealed importance sampling (Neal 2001; Wu et al. 2017): tighter than importance weighting.

In expectation an upper bound on -log p(x), as every importance estimate's logarithm is; the effective number of chains and the
acceptance of the transitions say how far to trust it.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from torch import Tensor

from ratelab.core.batch import Batch, Noise
from ratelab.core.estimator import Estimator, Result
from ratelab.core.model import Model
from ratelab.core.passes import Pass
from ratelab.core.reference import NEAL01, WU17, Reference
from ratelab.core.units import COUNT
from ratelab.estimators.annealing import Annealing, sigmoid_schedule
from ratelab.estimators.averages import Column, mean_of
from ratelab.estimators.gathered import Gathered
from ratelab.estimators.lacks import check_continuous, check_one_layer
from ratelab.estimators.latent_paths import from_encoder, from_marginal
from ratelab.estimators.scores import Score

Start = Literal["encoder", "marginal"]
PATHS = {"encoder": from_encoder, "marginal": from_marginal}


class AnnealedLikelihood(Gathered):
    """``ais``: an upper bound on -log p(x), with ``ais_chains`` (effective, of ``chains``) and ``ais_acceptance``.

    ``start``: chains start at a Gaussian with the encoder's moments, or at m(z) (one layer only). ``every``: measure one example in
    so many. Cost: ``chains * temperatures * (leapfrogs + 1)`` passes through the decoder and back, per example.
    """

    references = (Reference(NEAL01), Reference(WU17, "section 3"))

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
        self.bound, self.effective, self.acceptance, self.score = Column(), Column(), Column(), Score()

    def check(self, model: Model, seen: Pass) -> None:
        check_continuous(seen, "ais")
        if self.start == "marginal":
            check_one_layer(seen, "ais from m(z)")

    def work(self, model: Model, x: Tensor, noise: Noise) -> None:
        path = PATHS[self.start](model, x, noise)
        self.score = Score.of(model(Batch(x[:1]), noise).decoder)
        travelled = self.annealing.forward(path, self.annealing.steps(path, noise), self.chains, noise)
        self.bound.add(-travelled.log_mean)
        self.effective.add(travelled.effective)
        self.acceptance.add(travelled.acceptance)

    def merge(self, other: Estimator) -> None:
        super().merge(other)
        assert isinstance(other, AnnealedLikelihood)
        for name in ("bound", "effective", "acceptance"):
            getattr(self, name).merge(getattr(other, name))

    def per_example(self) -> Mapping[str, np.ndarray]:
        self.finish()
        return {"ais": self.bound.values} if self.every == 1 else {}

    def result(self) -> Mapping[str, Result]:
        self.finish()
        score = self.score
        return {
            "ais": mean_of(self.bound.values, of=score.evidence, bound=score.bound("upper"), why=score.why),
            "ais_chains": mean_of(self.effective.values, f"effective number of {self.chains} chains", "estimate", COUNT),
            "ais_acceptance": mean_of(self.acceptance.values, "acceptance of Hamiltonian transitions", "exact", COUNT),
        }

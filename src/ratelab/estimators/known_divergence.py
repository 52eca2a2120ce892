"""The density-ratio trick where the truth is known: KL(P_2 || P_1) of two Gaussians by a critic (Rosca et al. 2018, App. D, setting 1)."""

from collections.abc import Mapping

import numpy as np
import torch

from ratelab.core.batch import Batch, Noise
from ratelab.core.critic import KnownCritic
from ratelab.core.errors import UserError
from ratelab.core.estimate import Bound, Estimate
from ratelab.core.estimator import Estimator, Needs, Result
from ratelab.core.model import Model
from ratelab.core.passes import Pass
from ratelab.core.reference import R18, Reference
from ratelab.divergences.ratio import Bounded, mean_logit
from ratelab.estimators.averages import Column
from ratelab.estimators.density_ratio import certified

OF = "KL(P_2 || P_1)"


class KnownDivergence(Estimator):
    """``synthetic_kl``, E_{P_2}[-logit], its ``_bias`` against the ``_true`` divergence, and the same critic's bounds ``_dv``, ``_nwj``."""

    references = (Reference(R18, "App. D, setting 1"),)
    needs = Needs(likelihood=False)

    def __init__(self) -> None:
        self.on_second, self.on_first = Column(), Column()
        self.truth = float("nan")

    def check(self, model: Model, seen: Pass) -> None:
        if not isinstance(model, KnownCritic):
            raise UserError(
                "estimator 'synthetic-kl' is of critics of two known laws (model 'gaussian-critic'); use 'marginal-kl-ratio'"
            )

    def observe(self, model: Model, batch: Batch, noise: Noise) -> None:
        assert isinstance(model, KnownCritic)
        pairs = model.meet(batch, noise)
        self.on_second.add(-model.score(pairs.second))
        self.on_first.add(-model.score(pairs.first))
        self.truth = model.divergence

    def merge(self, other: Estimator) -> None:
        assert isinstance(other, KnownDivergence)
        self.on_second.merge(other.on_second)
        self.on_first.merge(other.on_first)

    def per_example(self) -> Mapping[str, np.ndarray]:
        return {"synthetic_kl": self.on_second.values}

    def result(self) -> Mapping[str, Result]:
        on_p, on_q = (torch.as_tensor(column.values) for column in (self.on_second, self.on_first))

        def estimate(found: Bounded, bound: Bound, of: str = OF) -> Estimate:
            return Estimate(found.value, found.error, len(on_p), of=of, bound=bound)

        trick = mean_logit(on_p)
        return {
            "synthetic_kl": estimate(trick, "estimate"),
            "synthetic_kl_true": estimate(Bounded(self.truth, 0.0), "exact"),
            "synthetic_kl_bias": estimate(
                Bounded(trick.value - self.truth, trick.error), "exact", "error of the density-ratio trick"
            ),
            **{f"synthetic_kl_{name}": found for name, found in certified(on_p, on_q, OF, "P_1").items()},
        }

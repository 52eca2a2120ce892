"""The independent Wasserstein critic: how far a model's draws are from data that it has not seen (Danihelka et al. 2017; Rosca et al. 2018,
App. I).

A fresh critic learns on the validation split to tell examples from draws of the model; the score is E[f(x)] - E[f(draw)] on held-out
examples. On training examples the same critic gives less where the model repeats what it was trained on.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ratelab.core.batch import Batch, Noise
from ratelab.core.critic import Critic
from ratelab.core.estimate import Estimate
from ratelab.core.estimator import Estimator, Needs, Result
from ratelab.core.model import Model
from ratelab.core.reference import DANIHELKA17, R18, Reference
from ratelab.core.table import Node
from ratelab.core.units import COUNT
from ratelab.estimators.averages import Column
from ratelab.estimators.lessons import Count, Rate, Seed, sections
from ratelab.networks import FEATURES

NETWORK: Node = {"name": "mlp", "hidden": [512, 512, 512], "activation": "leaky-relu"}


class WassersteinCritic(Estimator):
    """``wasserstein``: the critic's score of held-out examples over draws, and ``wasserstein_train`` of training examples; no bound.

    ``network``: the critic's features, without batch normalisation, e.g. ``{name: dcgan, norm: none}``; ``penalty``: weight of the gradient
    penalty, ``steps`` of Adam (0.5, 0.9). Under ``validation`` the score is of the examples that the critic learnt from.
    """

    references = (Reference(R18, "App. I"), Reference(DANIHELKA17))
    needs = Needs(likelihood=False, of_examples=True, helper="critic of samples", training="some", examples=2)

    def __init__(
        self,
        critic: Critic,
        *,
        network: Annotated[Node, FEATURES] = NETWORK,
        penalty: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 10.0,
        lr: Rate = 1e-4,
        steps: Count = 20_000,
        batch_size: Count = 64,
        seed: Seed = 0,
    ) -> None:
        self.critic = critic
        self.on_examples, self.on_training, self.on_draws = Column(), Column(), Column()

    @classmethod
    def lesson(cls, node: Mapping[str, Any], examples: int) -> Mapping[str, Any]:
        model = {"name": "sample-critic", "network": node["network"]}
        objective = {"name": "wasserstein", "penalty": node["penalty"]}
        return sections(model, objective, {"betas": [0.5, 0.9]}, node, examples)

    def observe(self, model: Model, batch: Batch, noise: Noise) -> None:
        self.on_examples.add(self.critic.score(batch.x))
        self.on_draws.add(self.critic.score(model.generate(batch.size, noise).target))

    def observe_training(self, model: Model, batch: Batch, noise: Noise, examples: int) -> None:
        self.on_training.add(self.critic.score(batch.x))

    def merge(self, other: Estimator) -> None:
        assert isinstance(other, WassersteinCritic)
        for own, more in (
            (self.on_examples, other.on_examples),
            (self.on_training, other.on_training),
            (self.on_draws, other.on_draws),
        ):
            own.merge(more)

    def per_example(self) -> Mapping[str, np.ndarray]:
        return {"critic_score": self.on_examples.values}

    def result(self) -> Mapping[str, Result]:
        found: dict[str, Result] = {"wasserstein": self._apart(self.on_examples, "held-out examples")}
        if self.on_training.parts:
            found["wasserstein_train"] = self._apart(self.on_training, "training examples")
        return found

    def _apart(self, column: Column, what: str) -> Estimate:
        examples, draws = column.values, self.on_draws.values
        error = math.hypot(*(values.std(ddof=1) / math.sqrt(len(values)) for values in (examples, draws)))
        of = f"independent critic's score of {what} over draws of the model"
        return Estimate(float(examples.mean() - draws.mean()), error, len(examples), of=of, bound="estimate", unit=COUNT)

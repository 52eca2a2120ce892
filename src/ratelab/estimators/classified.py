"""How often a model of labels is right: the accuracy of its most probable label."""

from collections.abc import Mapping

import numpy as np

from ratelab.core.batch import Batch, Noise
from ratelab.core.errors import UserError
from ratelab.core.estimator import Estimator, Needs, Result
from ratelab.core.model import Model
from ratelab.core.passes import Pass
from ratelab.core.units import COUNT
from ratelab.estimators.averages import Column, mean_of


class Accuracy(Estimator):
    """``accuracy`` of a model that scores labels (``classifier``, ``bottleneck``): a share of the examples, one draw each."""

    needs = Needs(labels=True)

    def __init__(self) -> None:
        self.right = Column()

    def check(self, model: Model, seen: Pass) -> None:
        if model.target != "y":
            raise UserError(
                "estimator 'accuracy' is of models that predict labels, and this one models examples; use 'downstream'"
            )

    def observe(self, model: Model, batch: Batch, noise: Noise) -> None:
        decoder = model(batch, noise).decoder
        assert decoder is not None
        assert batch.y is not None
        guess = decoder.mean.reshape(-1, batch.size)[0]
        self.right.add((guess.long() == batch.y).double())

    def merge(self, other: Estimator) -> None:
        assert isinstance(other, Accuracy)
        self.right.merge(other.right)

    def per_example(self) -> Mapping[str, np.ndarray]:
        return {"right": self.right.values}

    def result(self) -> Mapping[str, Result]:
        return {"accuracy": mean_of(self.right.values, "accuracy of the most probable label", unit=COUNT)}

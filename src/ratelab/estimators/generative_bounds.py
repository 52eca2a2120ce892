"""What a density q(x) of the data tells of a model: I_d from above, and how far q has gone from the law to the sample (Alemi et al. 2018,
App. C and D.6).

G = E_{m(z) d(x|z)}[log d(x|z) - log q(x)] exceeds I_d by KL(p_d(x) || q(x)). U = E_{p_e}[log d(x|z) - log q(x)] and S = KL(p* || q)
differ by H - D whatever q is: U - S <= I_e. S itself needs H, but of its parts -E log q is measured, and on N distinct training
examples S = -log N - E log q is known. The law itself is about H - log N away from its sample; what comes closer has learnt the sample.
"""

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np
from torch import Tensor

from ratelab.core.batch import Batch, Noise
from ratelab.core.errors import UserError
from ratelab.core.estimator import Estimator, Needs, Result
from ratelab.core.model import Model
from ratelab.core.passes import Pass
from ratelab.core.reference import A18, Reference
from ratelab.estimators.averages import Column, mean_of
from ratelab.estimators.lacks import check_likelihood

RECIPE = "alemi2018/mnist-density"


class DensityOfData(Protocol):
    """A normalised law of examples (N, \\*event), in probabilities of discrete values."""

    event_shape: tuple[int, ...]

    def log_prob(self, x: Tensor) -> Tensor: ...


class GenerativeBounds(Estimator):
    """``generative_information_upper`` (G >= I_d), ``cross_entropy`` (-E log q >= H), ``u``; ``s_sample`` beside its ``s_target``.

    The density q(x) is the recipe that ``density`` names, trained on the data of the run that is measured.
    """

    references = (Reference(A18, "App. C, D.6"),)
    needs = Needs(of_examples=True, helper="density", training="some")

    def __init__(self, q: DensityOfData, *, density: str = RECIPE) -> None:
        self.q = q
        self.gained, self.surprise, self.excess, self.learnt = Column(), Column(), Column(), Column()
        self.examples = 0

    def check(self, model: Model, seen: Pass) -> None:
        check_likelihood(seen, "generative-bounds")
        assert seen.decoder is not None
        if not seen.decoder.normalised or not seen.decoder.mass:
            raise UserError(
                "estimator 'generative-bounds' compares probabilities of discrete examples with q(x), and this model"
                " gives none; leave it out"
            )
        if self.q.event_shape != model.event_shape:
            raise UserError(
                f"estimator 'generative-bounds': the density is of examples of shape {self.q.event_shape}, the model makes"
                f" {model.event_shape}; name a density of this data"
            )

    def observe(self, model: Model, batch: Batch, noise: Noise) -> None:
        seen = model(batch, noise)
        log_q = self.q.log_prob(batch.x)
        self.surprise.add(-log_q)
        self.excess.add(-seen.per_example(seen.distortion) - log_q)
        drawn = model.generate(batch.size, noise)
        self.gained.add(-drawn.distortion[0] - self.q.log_prob(drawn.target))

    def observe_training(self, model: Model, batch: Batch, noise: Noise, examples: int) -> None:
        self.learnt.add(-self.q.log_prob(batch.x))
        self.examples = examples

    def merge(self, other: Estimator) -> None:
        assert isinstance(other, GenerativeBounds)
        for name in ("gained", "surprise", "excess", "learnt"):
            getattr(self, name).merge(getattr(other, name))
        self.examples = max(self.examples, other.examples)

    def per_example(self) -> Mapping[str, np.ndarray]:
        return {"cross_entropy": self.surprise.values}

    def result(self) -> Mapping[str, Result]:
        found: dict[str, Result] = {
            "generative_information_upper": mean_of(
                self.gained.values, "information I_d between x and z under the model", "upper"
            ),
            "cross_entropy": mean_of(self.surprise.values, "entropy of the data", "upper"),
            "u": mean_of(self.excess.values, "U = E[log d(x|z) - log q(x)], where U - S = H - D <= I_e", "exact"),
        }
        if self.examples:
            sample = math.log(self.examples)
            found["s_sample"] = mean_of(
                self.learnt.values - sample, "S of q on the training sample, if no example repeats", "exact"
            )
            found["s_target"] = mean_of(self.surprise.values - sample, "H - log N, where S of the law itself would be", "upper")
        return found

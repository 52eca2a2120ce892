"""The log-density of a Parzen window on the model's samples (Parzen 1962; Crescimanna and Graham 2019, Table I, "NLL").

log (1/S) sum_s N(x; x_s, sigma^2 I) with x_s the decoder's means at z_s ~ m(z). It needs no likelihood, and that is its use; as an
estimate of a likelihood it is known to mislead in many dimensions (Theis et al. 2016).
"""

import math
from collections.abc import Mapping
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ratelab.core.batch import Batch, Noise
from ratelab.core.errors import UserError
from ratelab.core.estimator import Estimator, Needs, Result
from ratelab.core.model import Model
from ratelab.core.passes import Pass
from ratelab.core.reference import C19, PARZEN62, Reference
from ratelab.estimators.averages import Column, mean_of

Widths = Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]
AT_ONCE = 1000


class ParzenWindow(Estimator):
    """``parzen``: minus the log-density of a window of width sigma around ``samples`` draws of the model.

    ``sigmas``: widths to choose from: each half of the examples is scored with the width under which the other half is likeliest,
    so that no example chooses its own. Fresh draws for every batch.
    """

    references = (Reference(C19, "Table I"), Reference(PARZEN62))
    needs = Needs(likelihood=False, of_examples=True)

    def __init__(
        self,
        *,
        samples: Annotated[int, Field(ge=1)] = 10000,
        sigmas: Widths = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 1.0),
    ) -> None:
        self.samples, self.sigmas = samples, sigmas
        self.scores = Column()

    def check(self, model: Model, seen: Pass) -> None:
        if not model.event_shape:
            raise UserError("estimator 'parzen' takes distances between examples, and these are states; leave it out")

    def observe(self, model: Model, batch: Batch, noise: Noise) -> None:
        x = batch.x.flatten(1)
        parts = []
        for start in range(0, self.samples, AT_ONCE):
            drawn = model.generate(min(AT_ONCE, self.samples - start), noise)
            centres = drawn.target if drawn.decoder is None else drawn.decoder.mean[0]
            parts.append(window_scores(x, centres.flatten(1), self.sigmas))
        self.scores.add(torch.stack(parts).logsumexp(0) - math.log(self.samples))

    def merge(self, other: Estimator) -> None:
        assert isinstance(other, ParzenWindow)
        self.scores.merge(other.scores)

    def per_example(self) -> Mapping[str, np.ndarray]:
        return {"parzen": -crosswise(self.scores.values)}

    def result(self) -> Mapping[str, Result]:
        of = "negative log-density of a Parzen window on the model's samples"
        return {"parzen": mean_of(-crosswise(self.scores.values), of, "estimate")}


def window_scores(x: Tensor, centres: Tensor, sigmas: tuple[float, ...]) -> Tensor:
    """(W, B): log sum_s N(x; c_s, sigma^2 I) of x (B, D) for centres (S, D) and W widths, nats; in float64."""
    x, centres = x.double(), centres.double()
    squared = (x.square().sum(-1, keepdim=True) + centres.square().sum(-1) - 2 * x @ centres.mT).clamp_min(0)
    rows = [
        torch.logsumexp(-squared / (2 * sigma**2), -1) - 0.5 * x.shape[-1] * math.log(2 * math.pi * sigma**2)
        for sigma in sigmas
    ]
    return torch.stack(rows)


def crosswise(scores: np.ndarray) -> np.ndarray:
    """(W, N) -> (N,): even examples by the width that suits the odd ones best, and the other way round."""
    chosen = np.empty(scores.shape[1])
    for half in (0, 1):
        others = scores[:, 1 - half :: 2] if scores.shape[1] > 1 else scores
        chosen[half::2] = scores[others.mean(1).argmax(), half::2]
    return chosen

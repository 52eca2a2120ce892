"""The importance-weighted bound on the log-likelihood with K samples (Burda et al. 2016; Kingma and Welling 2019, eq. 2.56-2.57).

log (1/K) sum_k d(x|z_k) m(z_k) / e(z_k|x) is a lower bound on log p(x) in expectation, tighter for larger K; its negative
therefore an upper bound on the negative log-likelihood. Samples are drawn in chunks, so memory does not grow with K; and examples are taken
a few at a time, so that what a pass through the decoder leaves stays in the processor's cache.
"""

import math
from collections.abc import Mapping
from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from ratelab.core.batch import Batch, Noise
from ratelab.core.estimator import Estimator, Result
from ratelab.core.model import Model
from ratelab.core.passes import Pass
from ratelab.core.reference import BURDA16, K19, Reference
from ratelab.core.sequence import one_by_one
from ratelab.estimators.averages import Column, mean_of
from ratelab.estimators.lacks import check_density, check_likelihood, check_sampled
from ratelab.estimators.latent_paths import enough, kept_rows
from ratelab.estimators.scores import Score

ROWS = 2000  # samples times examples in one pass


class ImportanceWeighted(Estimator):
    """``iwae``: an upper bound on -log p(x); ``iwae_gain``: how far it is below neg_elbo on the same draws.

    ``samples``: K; ``chunk``: how many of them are held at once for an example. ``every``: measure one example in so many.
    """

    references = (Reference(BURDA16, "eq. 8"), Reference(K19, "eq. 2.57"))

    def __init__(
        self,
        *,
        samples: Annotated[int, Field(ge=1)] = 5000,
        chunk: Annotated[int, Field(ge=1)] = 250,
        every: Annotated[int, Field(ge=1)] = 1,
    ) -> None:
        self.samples, self.chunk, self.every = samples, chunk, every
        self.needs = enough(type(self).needs, every)
        self.bound, self.gain, self.score = Column(), Column(), Score()

    def check(self, model: Model, seen: Pass) -> None:
        check_sampled(seen, "iwae")
        check_likelihood(seen, "iwae")
        check_density(seen, "iwae")

    def observe(self, model: Model, batch: Batch, noise: Noise) -> None:
        few = max(1, ROWS // min(self.chunk, self.samples))
        parts = kept_rows(batch, self.every).split(few)
        for part in one_by_one(len(parts)):
            self._bound(model, batch.pick(parts[part]), noise)

    def _bound(self, model: Model, batch: Batch, noise: Noise) -> None:
        total, summed = batch.x.new_full((batch.size,), -torch.inf), batch.x.new_zeros(batch.size)
        for start in range(0, self.samples, self.chunk):
            seen = model(batch, noise, min(self.chunk, self.samples - start))
            self.score = Score.of(seen.decoder, model.target)
            neg_elbo = seen.rate + seen.distortion
            total = torch.logaddexp(total, torch.logsumexp(-neg_elbo, dim=-2))
            summed = summed + neg_elbo.sum(-2)
        self.bound.add(math.log(self.samples) - total)
        self.gain.add(summed / self.samples - math.log(self.samples) + total)

    def merge(self, other: Estimator) -> None:
        assert isinstance(other, ImportanceWeighted)
        self.bound.merge(other.bound)
        self.gain.merge(other.gain)

    def per_example(self) -> Mapping[str, np.ndarray]:
        return {"iwae": self.bound.values} if self.every == 1 else {}

    def result(self) -> Mapping[str, Result]:
        score = self.score
        return {
            "iwae": mean_of(self.bound.values, of=score.evidence, bound=score.bound("upper"), why=score.why),
            "iwae_gain": mean_of(self.gain.values, "KL(e(z|x) || p(z|x))", score.bound("lower"), why=score.why),
        }

"""Rate of every layer, distortion, and their sum, on the same samples (Alemi et al. 2018, eq. 1-5; Xiao and Bamler 2023, eq. 6-7).

R = E[log e(z|x) - log m(z)],  D = -E[log d(x|z)],  and D + R = -ELBO, an upper bound on the negative log-likelihood. The
rate is sampled also where it has a closed form, so that R + D is the negative ELBO of the very same draws.
"""

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from pydantic import Field

from ratelab.core.batch import Batch, Noise
from ratelab.core.estimator import Estimator, Needs, Result
from ratelab.core.model import Model
from ratelab.core.reference import A18, X23, Reference
from ratelab.core.units import BITS_PER_DIM, nats_to_bits_per_dim
from ratelab.estimators.averages import Column, mean_of
from ratelab.estimators.scores import Score

UNKNOWN_RATE = "the encoder has no density"
UNKNOWN_DISTORTION = "the generator has no likelihood"


class RateDistortion(Estimator):
    """``rate`` (total), ``rates`` (per layer, top first), ``distortion``, ``neg_elbo``; ``bits_per_dim`` for discrete data.

    ``samples``: draws of z per example.
    """

    references = (Reference(A18, "eq. 1-5"), Reference(X23, "eq. 6-7"))
    needs = Needs(likelihood=False)

    def __init__(self, *, samples: Annotated[int, Field(ge=1)] = 1) -> None:
        self.samples = samples
        self.rates, self.distortion = Column(), Column()
        self.score, self.dimensions = Score(), 1

    def observe(self, model: Model, batch: Batch, noise: Noise) -> None:
        seen = model(batch, noise, self.samples)
        self.rates.add(seen.per_example(seen.rates))
        self.distortion.add(seen.per_example(seen.distortion))
        self.score = Score.of(seen.decoder, model.target)
        self.dimensions = seen.target[0].numel()

    def merge(self, other: Estimator) -> None:
        assert isinstance(other, RateDistortion)
        self.rates.merge(other.rates)
        self.distortion.merge(other.distortion)

    def per_example(self) -> Mapping[str, np.ndarray]:
        rates, distortion = self.rates.values, self.distortion.values
        rate = rates.sum(0)
        return {"rate": rate, "rates": rates, "distortion": distortion, "neg_elbo": rate + distortion}

    def result(self) -> Mapping[str, Result]:
        arrays = self.per_example()
        no_rate = UNKNOWN_RATE if np.isnan(arrays["rate"]).any() else None
        no_distortion = UNKNOWN_DISTORTION if np.isnan(arrays["distortion"]).any() else None
        score = self.score
        total = mean_of(
            arrays["neg_elbo"], of=score.evidence, bound=score.bound("upper"), why=no_rate or no_distortion or score.why
        )
        found: dict[str, Result] = {
            "rate": mean_of(arrays["rate"], of="rate", why=no_rate),
            "rates": [mean_of(row, of=f"rate of layer {len(arrays['rates']) - i}") for i, row in enumerate(arrays["rates"])],
            "distortion": mean_of(
                arrays["distortion"], of=score.distortion, bound=score.bound("exact"), why=no_distortion or score.why
            ),
            "neg_elbo": total,
        }
        if score.mass:
            bits = nats_to_bits_per_dim(1.0, self.dimensions) * arrays["neg_elbo"]
            found["bits_per_dim"] = mean_of(bits, total.of, total.bound, BITS_PER_DIM, total.why)
        return found

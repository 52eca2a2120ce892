"""ELBO surgery: the rate splits into what the latents know of x and how far their aggregate is from m(z).

R = I_e(x; z) + KL(q(z) || m(z)) (Hoffman and Johnson 2016; Rosca et al. 2018, eq. 5), with q(z) = (1/N) sum_n e(z|x_n) over the N
examples of the split that is measured, or of training and validation together, scored at draws of it (Rosca et al. 2018, Alg. 2). For the
mixture over these N examples both parts are exact, and R - log N <= KL <= R; for the population that they were drawn from, the
information is biased downwards and never above log N, the divergence upwards. Leaving each draw's own example out biases both the
other way, so the population's values lie in between, if the model did not learn from the examples.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from ratelab.core.batch import Batch, Noise
from ratelab.core.errors import UserError
from ratelab.core.estimate import Bound, Estimate
from ratelab.core.estimator import Estimator, Needs, Result
from ratelab.core.model import Model
from ratelab.core.passes import Pass
from ratelab.core.reference import HOFFMAN16, R18, Reference
from ratelab.estimators.averages import mean_of
from ratelab.estimators.codes import Codes
from ratelab.estimators.lacks import check_density, check_sampled


class MarginalKL(Estimator):
    """``marginal_kl`` and ``information`` (their sum is the rate), each with its bound from the other side, ``..._lower``, ``..._upper``.

    Of the top layer in a hierarchy: below it an encoder sees more than x. ``examples``: draws of at most so many examples, chosen at
    random, are scored, each under all N examples; ``samples``: draws of each. Standard errors are over examples, and too
    small for a divergence within a few of them of 0, where the first-order error that they are of vanishes. ``over``: which N examples
    these are: those of the ``split`` that is measured, so that the two add up to its rate, or, as in the paper, all of
    ``train+validation``, whichever split is measured.
    """

    references = (Reference(R18, "eq. 5 and Alg. 2"), Reference(HOFFMAN16))
    needs = Needs(likelihood=False, examples=2)  # one is left out

    def __init__(
        self,
        *,
        examples: Annotated[int, Field(ge=1)] = 10_000,
        samples: Annotated[int, Field(ge=1)] = 1,
        over: Literal["split", "train+validation"] = "split",
    ) -> None:
        self.samples, self.over, self.codes, self.layers = samples, over, Codes(examples), 1
        if over != "split":
            self.needs = Needs(likelihood=False, training="all")

    def check(self, model: Model, seen: Pass) -> None:
        check_sampled(seen, "marginal-kl")
        check_density(seen, "marginal-kl")
        top = seen.layers[0]
        if top.auxiliary or top.encoder is None or len(top.encoder.batch_shape) != 1:
            raise UserError("estimator 'marginal-kl' needs the density of e(z|x) given x alone, an integral here; leave it out")

    def observe(self, model: Model, batch: Batch, noise: Noise) -> None:
        if self.over == "split":
            self._take(model, batch, noise)

    def observe_training(self, model: Model, batch: Batch, noise: Noise, examples: int) -> None:
        self._take(model, batch, noise)

    def _take(self, model: Model, batch: Batch, noise: Noise) -> None:
        if batch.weight is not None:
            raise UserError("estimator 'marginal-kl': training examples of this data have weights; set 'over: split'")
        seen = model(batch, noise, self.samples)
        self.layers = len(seen.layers)
        self.codes.add(seen.layers[0], batch, noise)

    def merge(self, other: Estimator) -> None:
        assert isinstance(other, MarginalKL)
        self.codes.merge(other.codes)

    def result(self) -> Mapping[str, Result]:
        codes = self.codes
        others = codes.log_others()
        within, without = codes.log_total(others), others - np.log(codes.examples - 1)
        which = "" if self.layers == 1 else f" of layer {self.layers}"
        if self.over != "split":
            which += f", over {codes.examples} training and validation examples"

        def mean(values: "np.ndarray", of: str, bound: Bound) -> Estimate:
            return mean_of(values.mean(-1), of + which, bound)

        divergence, information = "KL(q(z) || m(z))", "information I_e between x and z"
        own, marginal = codes.log_own.cpu().numpy(), codes.log_marginal.cpu().numpy()
        all_of_them, left_out = within.cpu().numpy(), without.cpu().numpy()
        return {
            "marginal_kl": mean(all_of_them - marginal, divergence, "upper"),
            "marginal_kl_lower": mean(left_out - marginal, divergence, "lower"),
            "information": mean(own - all_of_them, information, "lower"),
            "information_upper": mean(own - left_out, information, "upper"),
        }

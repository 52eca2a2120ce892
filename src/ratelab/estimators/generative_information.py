"""The information between x and z when the model speaks: the bound E <= I_d (Alemi et al. 2018, App. C and D.5).

E = E_{m(z) d(x|z)}[log e(z|x) - log m(z)]. It falls short of I_d by E_{p_d(x)} KL(p_d(z|x) || e(z|x)): how well the encoder inverts
the model's own draws. It may be negative.
"""

from collections.abc import Mapping

from ratelab.core.batch import Batch, Noise
from ratelab.core.errors import UserError
from ratelab.core.estimator import Estimator, Needs, Result
from ratelab.core.model import Model
from ratelab.core.passes import Pass
from ratelab.core.reference import A18, Reference
from ratelab.estimators.averages import Column, mean_of
from ratelab.estimators.lacks import check_density


class GenerativeInformation(Estimator):
    """``generative_information``: a lower bound on I_d, the mutual information of x and z under m(z) d(x|z).

    Measured on one draw of the model for each example of the split; the examples themselves play no part.
    """

    references = (Reference(A18, "App. C"),)
    needs = Needs(likelihood=False, of_examples=True)

    def __init__(self) -> None:
        self.gained = Column()

    def check(self, model: Model, seen: Pass) -> None:
        if seen.decoder is None or not seen.decoder.normalised:
            raise UserError(
                "estimator 'generative-information' draws x from a likelihood, and this model has none; leave it out"
            )
        check_density(seen, "generative-information")

    def observe(self, model: Model, batch: Batch, noise: Noise) -> None:
        drawn = model.generate(batch.size, noise)
        self.gained.add(drawn.rate[0])

    def merge(self, other: Estimator) -> None:
        assert isinstance(other, GenerativeInformation)
        self.gained.merge(other.gained)

    def result(self) -> Mapping[str, Result]:
        of = "information I_d between x and z under the model"
        return {"generative_information": mean_of(self.gained.values, of, "lower")}

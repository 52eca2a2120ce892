"""The negative evidence lower bound, D + R (Kingma and Welling 2019, eq. 2.10; Kingma and Welling 2014).

Three equal forms: E[log e(z|x) - log d(x|z) - log m(z)] from samples, distortion plus sampled rate, and distortion plus the
rate in closed form where one exists; the last has the least variance and is the default.
"""

from typing import Literal

from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State
from ratelab.core.passes import Pass
from ratelab.core.reference import K19, KINGMA14, Reference
from ratelab.core.target import check_rate

Form = Literal["closed", "sampled", "joint"]


class Elbo(Objective):
    """-ELBO in nats. ``form``: ``closed`` (D + KL), ``sampled`` (D + sampled rate) or ``joint`` (log e - log of the joint)."""

    references = (Reference(KINGMA14, "eq. 3"), Reference(K19, "eq. 2.10"))

    def __init__(self, setting: Setting, *, form: Form = "closed") -> None:
        super().__init__()
        self.form = form

    def players(self, model: Model) -> tuple[Player, ...]:
        check_rate(model, "elbo", verb="minimises")
        return super().players(model)

    def loss(self, seen: Pass, state: State) -> Loss:
        if self.form == "closed":
            return Loss(seen.mean(seen.distortion) + seen.mean(seen.closed_rate), {}, state)
        if self.form == "sampled":
            return Loss(seen.mean(seen.distortion + seen.rate), {}, state)
        log_encoder = sum(layer.log_encoder for layer in seen.layers)
        log_joint = sum((layer.log_marginal for layer in seen.layers), start=-seen.distortion)
        return Loss(seen.mean(log_encoder - log_joint), {}, state)

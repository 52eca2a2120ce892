"""A channel whose capacity is opened slowly: D + gamma |R - C| with C rising linearly from 0 (Burgess et al. 2018, eq. 8)."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from torch import Tensor

from ratelab.core.estimator import Result
from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State
from ratelab.core.passes import Pass
from ratelab.core.reference import BURGESS18, Reference
from ratelab.core.target import check_rate, missed
from ratelab.core.warm_up import risen
from ratelab.objectives.target import Nats, Weight


class Capacity(Objective):
    """D + gamma |R - C(epoch)|, in nats. ``rate``: C at the end, reached when the share ``opening`` of the training is over.

    ``weight``: gamma; it pins the rate to C wherever it exceeds the slope |dD/dR|. The log shows C as ``capacity``.
    """

    references = (Reference(BURGESS18, "eq. 8"),)
    rate: Tensor
    weight: Tensor
    opening: Tensor

    def __init__(
        self,
        setting: Setting,
        *,
        rate: Nats,
        weight: Weight = 100.0,
        opening: Annotated[float, Field(gt=0, le=1)] = 0.5,
    ) -> None:
        super().__init__()
        self.hyper("rate", rate)
        self.hyper("weight", weight)
        self.hyper("opening", opening)
        self.epochs = setting.epochs

    def players(self, model: Model) -> tuple[Player, ...]:
        check_rate(model, "capacity", targets=[float(self.rate)])
        return super().players(model)

    def loss(self, seen: Pass, state: State) -> Loss:
        capacity = self.rate * risen(self.opening * self.epochs, seen.batch.epoch, self.epochs)
        gap = seen.mean(seen.closed_rate) - capacity
        terms = {"capacity": capacity, "target_gap": gap.detach()}
        return Loss(seen.mean(seen.distortion) + self.weight * gap.abs(), terms, state)

    def missed(self, measured: Mapping[str, Result]) -> str:
        return missed("rate", [self.rate.item()], measured)

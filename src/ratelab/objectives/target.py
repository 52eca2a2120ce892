"""Targets by penalty (Alemi et al. 2018, section 4): minimise D + w |sigma - R|, or R + w |delta - D|, on the batch means.

With w = 1, as in the paper, the rate is pinned from below only: along D + R = H the loss is the same for every R >= sigma, and
a rate below that of the ELBO's own optimum is never reached. The weight must exceed the slope |dD/dR| at the target.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from torch import Tensor

from ratelab.core.estimator import Result
from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State
from ratelab.core.passes import Pass
from ratelab.core.reference import A18, Reference
from ratelab.core.schedule import Step
from ratelab.core.target import check_rate, missed, one_per_layer

Nats = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class TargetRate(Objective):
    """D + w |sigma - R|, in nats; with a target per layer, D + w sum_l |sigma_l - R_l|.

    ``rate``: sigma, the total, or one per layer, top layer first. ``weight``: w; 1 is the paper's. ``late_weight`` replaces it
    once the share ``late`` of the training is over: a weight above 1 pins the rate from above too, but from the start it may
    be met with a rate that carries nothing.
    """

    references = (Reference(A18, "section 4"),)
    rate: Tensor
    weight: Tensor

    def __init__(
        self,
        setting: Setting,
        *,
        rate: Nats | tuple[Nats, ...],
        weight: Weight = 1.0,
        late_weight: Weight | None = None,
        late: Fraction = 0.4,
    ) -> None:
        super().__init__()
        one_per_layer(rate, setting, "objective.rate", "targets")
        self.hyper("rate", rate)
        self.hyper("weight", weight)
        self.layered, self.epochs = isinstance(rate, tuple), setting.epochs
        self.schedule = None if late_weight is None else Step(late, late_weight / weight)

    def players(self, model: Model) -> tuple[Player, ...]:
        check_rate(model, "target-rate", self.rate.numel() if self.layered else 1, self.rate.reshape(-1).tolist())
        return super().players(model)

    def loss(self, seen: Pass, state: State) -> Loss:
        rates = seen.mean(seen.closed_rates)
        gap = (rates if self.layered else rates.sum(-1)) - self.rate
        weight = self.weight if self.schedule is None else self.weight * self.schedule(seen.batch.epoch, self.epochs)
        total = seen.mean(seen.distortion) + weight * (gap.abs().sum(-1) if self.layered else gap.abs())
        return Loss(total, {"target_gap": gap.detach()}, state)

    def missed(self, measured: Mapping[str, Result]) -> str:
        return missed("rates" if self.layered else "rate", self.rate.reshape(-1).tolist(), measured)


class TargetDistortion(Objective):
    """R + w |delta - D|, in nats. ``distortion``: delta, -log d(x|z) with its constants (it may be negative for densities).

    ``weight``: w, above the slope |dR/dD| at the target; the larger it is, the more rate its jumping gradient wastes.
    ``controlled-distortion`` wastes none.
    """

    references = (Reference(A18, "section 4"),)
    target: Tensor
    weight: Tensor

    def __init__(
        self, setting: Setting, *, distortion: Annotated[float, Field(allow_inf_nan=False)], weight: Weight = 10.0
    ) -> None:
        super().__init__()
        self.hyper("target", distortion)
        self.hyper("weight", weight)

    def players(self, model: Model) -> tuple[Player, ...]:
        check_rate(model, "target-distortion")
        return super().players(model)

    def loss(self, seen: Pass, state: State) -> Loss:
        gap = seen.mean(seen.distortion) - self.target
        return Loss(seen.mean(seen.closed_rate) + self.weight * gap.abs(), {"target_gap": gap.detach()}, state)

    def missed(self, measured: Mapping[str, Result]) -> str:
        return missed("distortion", [self.target.item()], measured)

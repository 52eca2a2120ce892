"""Constrained optimisation with a Lagrange multiplier (Rezende and Viola 2018, "Taming VAEs", eq. 1 and Algorithm 1).

Minimise R subject to D <= delta, or D subject to R <= sigma. The multiplier grows by exp(speed x constraint) as long as the
running mean of the constraint is violated and shrinks otherwise; at rest the constraint is met with equality.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from ratelab.core.errors import UserError
from ratelab.core.estimator import Result
from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State
from ratelab.core.passes import Pass
from ratelab.core.reference import REZENDE18, Reference
from ratelab.core.target import check_rate, missed, one_per_layer
from ratelab.objectives.target import Nats

LOG_RANGE = (-6.0, 6.0)
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Geco(Objective):
    """R + lambda (D - delta), or D + lambda (R - sigma), in nats. Give ``distortion`` (delta) or ``rate`` (sigma), not both.

    A list of rates, top layer first, has a multiplier for each layer: D + sum_l lambda_l (R_l - sigma_l).
    ``speed``: how fast log lambda follows the constraint, counted in units of the target (of 1 nat for targets below that).
    ``memory``: of the constraint's running mean, per step. The multiplier is logged as ``multiplier``.
    """

    references = (Reference(REZENDE18, "eq. 1, Algorithm 1"),)
    target: Tensor
    speed: Tensor
    memory: Tensor

    def __init__(
        self,
        setting: Setting,
        *,
        rate: Nats | tuple[Nats, ...] | None = None,
        distortion: Finite | None = None,
        speed: Annotated[float, Field(gt=0)] = 0.02,
        memory: Annotated[float, Field(ge=0, lt=1)] = 0.95,
    ) -> None:
        super().__init__()
        if (rate is None) == (distortion is None):
            raise UserError("objective 'geco': give either rate or distortion, the one to be held")
        self.held: Literal["rate", "rates", "distortion"] = "distortion" if rate is None else "rate"
        if isinstance(rate, tuple):
            one_per_layer(rate, setting, "objective.rate", "targets")
            self.held = "rates"
        self.hyper("target", distortion if rate is None else rate)  # type: ignore[arg-type]
        self.hyper("speed", speed)
        self.hyper("memory", memory)

    def initial_state(self) -> State:
        zero = torch.zeros_like(self.target)
        return {"log_multiplier": zero, "average": zero.clone(), "steps": self.target.new_zeros(())}

    def players(self, model: Model) -> tuple[Player, ...]:
        targets = () if self.held == "distortion" else self.target.reshape(-1).tolist()
        check_rate(model, "geco", self.target.numel(), targets)
        return super().players(model)

    def loss(self, seen: Pass, state: State) -> Loss:
        rates, distortion = seen.mean(seen.closed_rates), seen.mean(seen.distortion)
        held, free = {
            "rates": (rates, distortion),
            "rate": (rates.sum(-1), distortion),
            "distortion": (distortion, rates.sum(-1)),
        }[self.held]
        gap = held - self.target
        steps = state["steps"] + 1
        average = self.memory * state["average"] + (1 - self.memory) * gap.detach()
        mean = average / (1 - self.memory**steps)
        push = (mean / self.target.abs().clamp(min=1)).clamp(-1, 1)
        log_multiplier = (state["log_multiplier"] + self.speed * push).clamp(*LOG_RANGE)
        multiplier = log_multiplier.exp()
        following = {"log_multiplier": log_multiplier, "average": average, "steps": steps}
        cost = multiplier * gap
        total = free + (cost.sum(-1) if self.held == "rates" else cost)
        return Loss(total, {"multiplier": multiplier, "target_gap": mean}, following)

    def missed(self, measured: Mapping[str, Result]) -> str:
        return missed(self.held, self.target.reshape(-1).tolist(), measured)

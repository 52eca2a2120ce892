"""Constrained optimisation with a Lagrange multiplier (Rezende and Viola 2018, "Taming VAEs", eq. 1 and Algorithm 1).

Minimise R subject to D <= delta, or D subject to R <= sigma. The multiplier grows by exp(speed x constraint) as long as the
running mean of the constraint is violated and shrinks otherwise; at rest the constraint is met with equality.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from ratelab.core.errors import UserError
from ratelab.core.estimator import Result
from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State
from ratelab.core.passes import Pass
from ratelab.core.reference import REZENDE18, Reference
from ratelab.core.target import check_rate, missed
from ratelab.objectives.target import Nats

LOG_RANGE = (-6.0, 6.0)
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Geco(Objective):
    """R + lambda (D - delta), or D + lambda (R - sigma), in nats. Give ``distortion`` (delta) or ``rate`` (sigma), not both.

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
        rate: Nats | None = None,
        distortion: Finite | None = None,
        speed: Annotated[float, Field(gt=0)] = 0.02,
        memory: Annotated[float, Field(ge=0, lt=1)] = 0.95,
    ) -> None:
        super().__init__()
        if (rate is None) == (distortion is None):
            raise UserError("objective 'geco': give either rate or distortion, the one to be held")
        self.held: Literal["rate", "distortion"] = "distortion" if rate is None else "rate"
        self.hyper("target", distortion if rate is None else rate)  # type: ignore[arg-type]
        self.hyper("speed", speed)
        self.hyper("memory", memory)

    def initial_state(self) -> State:
        return {name: self.target.new_zeros(()) for name in ("log_multiplier", "average", "steps")}

    def players(self, model: Model) -> tuple[Player, ...]:
        check_rate(model, "geco", targets=[float(self.target)] if self.held == "rate" else ())
        return super().players(model)

    def loss(self, seen: Pass, state: State) -> Loss:
        rate, distortion = seen.mean(seen.closed_rate), seen.mean(seen.distortion)
        held, free = (rate, distortion) if self.held == "rate" else (distortion, rate)
        gap = held - self.target
        steps = state["steps"] + 1
        average = self.memory * state["average"] + (1 - self.memory) * gap.detach()
        mean = average / (1 - self.memory**steps)
        push = (mean / self.target.abs().clamp(min=1)).clamp(-1, 1)
        log_multiplier = (state["log_multiplier"] + self.speed * push).clamp(*LOG_RANGE)
        multiplier = log_multiplier.exp()
        following = {"log_multiplier": log_multiplier, "average": average, "steps": steps}
        return Loss(free + multiplier * gap, {"multiplier": multiplier, "target_gap": mean}, following)

    def missed(self, measured: Mapping[str, Result]) -> str:
        return missed(self.held, [self.target.item()], measured)

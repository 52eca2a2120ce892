"""A controller on log beta that holds the rate, or the distortion, at a request: D + beta_t R (Shao et al. 2020).

Proportional-integral control of log beta on the logarithm of the rate. With the mean rate A_t over about the last twenty steps,

    e_t = log(A_t / sigma),   I_t = I_(t-1) + 0.03 clamp(e_t, -1/2, 1/2),   log beta_t = I_t + g e_t .

At rest e = 0 and beta_t = -dD/dR at the request: the model is the beta-VAE of that rate, unlike under a penalty |sigma - R|. On the
logarithms the same gains serve every request; Shao et al. act on beta itself and need other gains for every scale. A distortion is
held by the same rule: as dD = -beta dR, missing it by D - delta is a relative error of -(D - delta) / (beta R) in the rate.
"""

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ratelab.core.estimator import Result
from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State
from ratelab.core.passes import Pass
from ratelab.core.reference import SHAO20, X23, Reference
from ratelab.core.target import check_rate, missed, one_per_layer
from ratelab.objectives.target import Nats

MEMORY = 0.95  # of running means, per step
INTEGRAL_GAIN, INTEGRAL_RANGE = 0.03, (-5.0, 4.0)
INTEGRAL_REACH = 0.5  # larger errors are the first steps', while the rate is still on its way: not to be remembered
LOG_BETA_RANGE = (-6.0, 4.0)
GAIN, REACH = 2.0, 4.0  # of one controller alone
LAYER_GAIN, LAYER_REACH = 1.0, 2.0  # layers act on each other, so theirs is gentler


class ControlledRate(Objective):
    """D + beta_t R with beta_t controlled so that R reaches ``rate``, in nats; per layer for one target each.

    ``rate``: the total, or one per layer, top layer first. The log shows the price as ``beta`` and the running mean of the rate
    less the request as ``target_gap``.
    """

    references = (Reference(SHAO20, "eq. 5-9"), Reference(X23, "eq. 8"))
    rate: Tensor

    def __init__(self, setting: Setting, *, rate: Nats | tuple[Nats, ...]) -> None:
        super().__init__()
        one_per_layer(rate, setting, "objective.rate", "targets")
        self.hyper("rate", rate)
        self.layered = isinstance(rate, tuple)

    def initial_state(self) -> State:
        zero = torch.zeros_like(self.rate)
        return {"average": zero, "integral": zero.clone(), "steps": self.rate.new_zeros(())}

    def players(self, model: Model) -> tuple[Player, ...]:
        check_rate(model, "controlled-rate", self.rate.numel() if self.layered else 1, self.rate.reshape(-1).tolist())
        return super().players(model)

    def loss(self, seen: Pass, state: State) -> Loss:
        rates = seen.mean(seen.closed_rates)
        rate = rates if self.layered else rates.sum(-1)
        steps, average, mean = running_mean(rate.detach(), state["steps"], state["average"])
        error = (mean / self.rate).clamp(min=torch.finfo(mean.dtype).tiny).log()
        gain, reach = (LAYER_GAIN, LAYER_REACH) if self.layered else (GAIN, REACH)
        log_beta, integral = control(error, state["integral"], gain, reach)
        cost = log_beta.exp() * rate
        total = seen.mean(seen.distortion) + (cost.sum(-1) if self.layered else cost)
        terms = {"beta": log_beta.exp(), "target_gap": mean - self.rate}
        return Loss(total, terms, {"average": average, "integral": integral, "steps": steps})

    def missed(self, measured: Mapping[str, Result]) -> str:
        return missed("rates" if self.layered else "rate", self.rate.reshape(-1).tolist(), measured)


class ControlledDistortion(Objective):
    """D + beta_t R with beta_t controlled so that D reaches ``distortion``, in nats (it may be negative for densities).

    The log shows the price as ``beta`` and the running mean of the distortion less the request as ``target_gap``.
    """

    references = (Reference(SHAO20, "eq. 5-9"),)
    distortion: Tensor

    def __init__(self, setting: Setting, *, distortion: Annotated[float, Field(allow_inf_nan=False)]) -> None:
        super().__init__()
        self.hyper("distortion", distortion)

    def initial_state(self) -> State:
        names = ("average", "average_rate", "integral", "log_beta", "steps")
        return {name: self.distortion.new_zeros(()) for name in names}

    def players(self, model: Model) -> tuple[Player, ...]:
        check_rate(model, "controlled-distortion")
        return super().players(model)

    def loss(self, seen: Pass, state: State) -> Loss:
        rate, distortion = seen.mean(seen.closed_rate), seen.mean(seen.distortion)
        steps, average, mean = running_mean(distortion.detach(), state["steps"], state["average"])
        _, average_rate, mean_rate = running_mean(rate.detach(), state["steps"], state["average_rate"])
        paid = (state["log_beta"].exp() * mean_rate).clamp(min=torch.finfo(mean.dtype).tiny)
        gap = mean - self.distortion
        log_beta, integral = control(-gap / paid, state["integral"], GAIN, REACH)
        following = {
            "average": average,
            "average_rate": average_rate,
            "integral": integral,
            "log_beta": log_beta,
            "steps": steps,
        }
        price = log_beta.exp()
        return Loss(distortion + price * rate, {"beta": price, "target_gap": gap}, following)

    def missed(self, measured: Mapping[str, Result]) -> str:
        return missed("distortion", [self.distortion.item()], measured)


def running_mean(value: Tensor, steps: Tensor, average: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(steps, average, mean) after one more ``value``: an exponential mean, and the same without the bias of its start at 0."""
    steps = steps + 1
    average = MEMORY * average + (1 - MEMORY) * value
    return steps, average, average / (1 - MEMORY**steps)


def control(error: Tensor, integral: Tensor, gain: float, reach: float) -> tuple[Tensor, Tensor]:
    """One step of the controller on relative errors of the rate: (log beta, next integral), element by element."""
    error = error.clamp(-reach, reach)
    remembered = error.clamp(-INTEGRAL_REACH, INTEGRAL_REACH)
    integral = (integral + INTEGRAL_GAIN * remembered).clamp(*INTEGRAL_RANGE)
    return (integral + gain * error).clamp(*LOG_BETA_RANGE), integral

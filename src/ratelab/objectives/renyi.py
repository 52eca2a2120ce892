"""The Renyi bound L_alpha = 1/(1-alpha) log E_e[(d(x|z) m(z) / e(z|x))^(1-alpha)] with K samples (Li and Turner 2016, eq. 11 and 13).

It falls as alpha rises: alpha -> 1 is the ELBO, alpha = 0 the importance-weighted bound, alpha < 0 goes above it.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State
from ratelab.core.passes import Pass
from ratelab.core.reference import LI16, Reference
from ratelab.core.target import check_rate

NEAR_ONE = 1e-3  # closer to 1 the logarithm loses its digits, and the bound is the ELBO to that order


class Renyi(Objective):
    """-L_alpha in nats, by reparameterisation. ``samples``: K."""

    references = (Reference(LI16, "eq. 11 and 13"),)
    alpha: Tensor

    def __init__(
        self,
        setting: Setting,
        *,
        alpha: Annotated[float, Field(allow_inf_nan=False)] = 0.5,
        samples: Annotated[int, Field(ge=1)] = 5,
    ) -> None:
        super().__init__()
        self.hyper("alpha", alpha)
        self.samples = samples

    def players(self, model: Model) -> tuple[Player, ...]:
        check_rate(model, "renyi", verb="weighs draws by")
        return super().players(model)

    def loss(self, seen: Pass, state: State) -> Loss:
        log_weights = -(seen.distortion + seen.rate)
        power = 1 - self.alpha
        elbo_like = power.abs() < NEAR_ONE
        safe = torch.where(elbo_like, torch.ones_like(power), power)
        bound = torch.logsumexp(safe * log_weights + seen.weight.log(), -2) / safe
        bound = torch.where(elbo_like, seen.per_example(log_weights), bound)
        return Loss(-seen.mean(bound.unsqueeze(-2)), {}, state)

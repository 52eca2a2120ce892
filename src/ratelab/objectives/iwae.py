"""The importance-weighted bound with K samples (Burda et al. 2016; Kingma and Welling 2019, eq. 2.56-2.57).

L_K = E log (1/K) sum_k w_k with w_k = d(x|z_k) m(z_k) / e(z_k|x); L_1 is the ELBO, and L_K rises to log p(x).
"""

from typing import Annotated

import torch
from pydantic import Field

from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State
from ratelab.core.passes import Pass
from ratelab.core.reference import BURDA16, K19, Reference
from ratelab.core.target import check_rate


class Iwae(Objective):
    """-L_K in nats, by reparameterisation. ``samples``: K."""

    references = (Reference(BURDA16, "eq. 8"), Reference(K19, "eq. 2.57"))

    def __init__(self, setting: Setting, *, samples: Annotated[int, Field(ge=1)] = 5) -> None:
        super().__init__()
        self.samples = samples

    def players(self, model: Model) -> tuple[Player, ...]:
        check_rate(model, "iwae", verb="weighs draws by")
        return super().players(model)

    def loss(self, seen: Pass, state: State) -> Loss:
        bound = log_mean_weight(seen)
        return Loss(-seen.mean(bound.unsqueeze(-2)), {}, state)


def log_mean_weight(seen: Pass) -> torch.Tensor:
    """(B,) log (1/K) sum_k w_k, nats."""
    return torch.logsumexp(-(seen.distortion + seen.rate) + seen.weight.log(), dim=-2)

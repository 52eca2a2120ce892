"""VIMCO: score-function gradients of the importance-weighted bound (Mnih and Rezende 2016, eq. 7-10).

Each sample is credited with what it adds to the bound: L minus the bound in which its weight is replaced by the geometric mean
of the others'. The gradient is sum_k (L - L_-k) grad log e(z_k) + sum_k w_k grad log w_k, the z held fixed.
"""

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State, valued
from ratelab.core.passes import Pass
from ratelab.core.reference import MNIH16, Reference
from ratelab.objectives.score_function import check_scores, log_densities


class Vimco(Objective):
    """-L_K in nats with score-function gradients. ``samples``: K, at least 2."""

    references = (Reference(MNIH16, "eq. 7-10"),)
    path = False

    def __init__(self, setting: Setting, *, samples: Annotated[int, Field(ge=2)] = 5) -> None:
        super().__init__()
        self.samples = samples

    def players(self, model: Model) -> tuple[Player, ...]:
        check_scores(model, "vimco")
        return super().players(model)

    def loss(self, seen: Pass, state: State) -> Loss:
        log_encoder, log_joint = log_densities(seen)
        log_weights = log_joint - log_encoder
        held = log_weights.detach()
        bound = torch.logsumexp(held, 0) - math.log(self.samples)
        credit = bound - without_each(held)
        surrogate = -((credit * log_encoder).sum(0) + (held.softmax(0) * log_weights).sum(0))
        return Loss(valued(-seen.mean(bound.unsqueeze(0)), seen.mean(surrogate.unsqueeze(0))), {}, state)


def without_each(log_weights: Tensor) -> Tensor:
    """(K, B): the bound with the k-th log-weight replaced by the mean of the others."""
    count = log_weights.shape[0]
    others = (log_weights.sum(0) - log_weights) / (count - 1)
    itself = torch.eye(count, dtype=torch.bool, device=log_weights.device).unsqueeze(-1)
    replaced = torch.where(itself, others.unsqueeze(1), log_weights.unsqueeze(0))
    return torch.logsumexp(replaced, 1) - math.log(count)

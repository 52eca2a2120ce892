"""Maximum a posteriori: the ELBO with a Gaussian law of the weights (Kingma and Welling 2019, App. A.2, eq. A.4-A.5).

log p(D) + log p(theta) is, per example and up to a constant, -(D + R) - |theta|^2 / (2 s^2 N) over the generative parameters.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ratelab.core.batch import Batch, Noise
from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State, Turn
from ratelab.core.passes import Pass
from ratelab.core.reference import K19, Reference
from ratelab.core.target import check_rate


class MaximumAPosteriori(Objective):
    """D + R + |theta|^2 / (2 s^2 N), in nats per example. ``spread``: s, the standard deviation of the law N(0, s^2) of each weight.

    The log shows what the weights cost, per example, as ``weight_cost``; the encoder's weights cost nothing.
    """

    references = (Reference(K19, "eq. A.4-A.5"),)
    spread: Tensor

    def __init__(self, setting: Setting, *, spread: Annotated[float, Field(gt=0)] = 1.0) -> None:
        super().__init__()
        self.hyper("spread", spread)
        self.examples = setting.examples

    def players(self, model: Model) -> tuple[Player, ...]:
        check_rate(model, "map", verb="minimises")
        return super().players(model)

    def turn(self, model: Model, batch: Batch, noise: Noise, state: State) -> Turn:
        seen = model(batch, noise, self.samples, self.path)
        squares = [parameter.square().sum() for parameter in model.group("generative")]
        cost = torch.stack(squares).sum() / (2 * self.spread.square() * self.examples)
        loss = self.loss(seen, state)
        return Turn(Loss(loss.total + cost, {"weight_cost": cost.detach()}, state), seen)

    def loss(self, seen: Pass, state: State) -> Loss:
        """The part that a pass alone determines, D + R; :meth:`turn` adds what the weights cost."""
        return Loss(seen.mean(seen.distortion) + seen.mean(seen.closed_rate), {}, state)

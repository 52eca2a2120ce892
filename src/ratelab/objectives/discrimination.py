"""Telling two laws apart by their labels: E_p[-log D] + E_q[-log(1 - D)], at equal odds (Rosca et al. 2018, section 4.1, Alg. 3).

At the best critic it is 2 log 2 - 2 JSD(p, q), and the critic's logit is log p - log q.
"""

from typing import Annotated

from pydantic import Field
from torch import Tensor

from ratelab.core.batch import Batch, Noise
from ratelab.core.critic import Critic, Pairs
from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State, Turn
from ratelab.core.passes import Pass
from ratelab.core.reference import R18, Reference
from ratelab.divergences.wasserstein import gradient_penalty

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Discrimination(Objective):
    """The cross-entropy of the labels of each pair, in nats, and ``penalty`` times the squared excess of the logit's slope over 1."""

    references = (Reference(R18, "section 4.1, Alg. 3"),)
    stacks = False
    penalty: Tensor

    def __init__(self, setting: Setting, *, penalty: Weight = 0.0) -> None:
        super().__init__()
        self.hyper("penalty", penalty)

    def players(self, model: Model) -> tuple[Player, ...]:
        check_critic(model, "discrimination")
        return super().players(model)

    def turn(self, model: Model, batch: Batch, noise: Noise, state: State) -> Turn:
        assert isinstance(model, Critic)
        pairs = model.meet(batch, noise)
        seen = model.judge(batch, pairs, noise)
        loss = self.loss(seen, state)
        if float(self.penalty) > 0:
            steep = slope_penalty(model, pairs, noise)
            loss = Loss(loss.total + self.penalty * steep, {**loss.terms, "steepness": steep.detach()}, state)
        return Turn(loss, seen)

    def loss(self, seen: Pass, state: State) -> Loss:
        """The part that a pass alone determines; :meth:`turn` adds the penalty."""
        return Loss(seen.mean(seen.distortion), {}, state)


def slope_penalty(model: Critic, pairs: Pairs, noise: Noise) -> Tensor:
    """The mean gradient penalty of an undisturbed critic between the draws of each pair."""
    return gradient_penalty(model.score, pairs.first, pairs.second, noise).mean()


def check_critic(model: Model, objective: str) -> None:
    """:class:`UserError` for a model that tells no two laws apart."""
    if not isinstance(model, Critic):
        raise UserError(
            f"objective '{objective}' trains critics, which tell two laws apart, and this model is none; use 'beta'"
        )

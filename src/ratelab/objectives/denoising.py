"""Denoising: the encoder sees a corrupted x, the decoder is scored on the clean one (Vincent et al. 2008, section 2.3).

With beta = 0 there is no regulariser, and without corruption too it is the plain autoencoder (Crescimanna and Graham 2019, section II).
"""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from ratelab.core.batch import Batch, Noise
from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State, Turn
from ratelab.core.passes import Pass
from ratelab.core.reference import C19, VINCENT08, Reference
from ratelab.core.serving import check_prices
from ratelab.core.target import priced

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Denoising(Objective):
    """D + beta R with z ~ e(z | corrupted x), in nats.

    ``corruption``: ``gaussian`` adds N(0, level^2) to each value, ``mask`` sets each to 0 with probability ``level``. At ``beta`` = 0
    the rate is left out, also where it is infinite (deterministic encoders). Only training sees corrupted data.
    """

    references = (Reference(VINCENT08, "section 2.3"), Reference(C19, "section II"))
    beta: Tensor
    level: Tensor

    def __init__(
        self,
        setting: Setting,
        *,
        corruption: Literal["gaussian", "mask"] = "gaussian",
        level: Weight = 0.1,
        beta: Weight = 1.0,
    ) -> None:
        super().__init__()
        if corruption == "mask" and level > 1:
            raise UserError(f"objective.level: the share of values that a mask takes is at most 1; got {level:g}")
        self.hyper("beta", beta)
        self.hyper("level", level)
        self.corruption = corruption

    def players(self, model: Model) -> tuple[Player, ...]:
        check_prices(model, "denoising", self.beta)
        if not model.event_shape:
            raise UserError(
                "objective 'denoising' corrupts values, and an example of this model is a state's index; use 'beta'"
            )
        return super().players(model)

    def turn(self, model: Model, batch: Batch, noise: Noise, state: State) -> Turn:
        seen = model(replace(batch, x=self._corrupted(batch.x, noise)), noise, self.samples, self.path)
        scored = replace(seen, batch=batch, target=batch.x if model.target == "x" else seen.target)
        return Turn(self.loss(scored, state), scored)

    def loss(self, seen: Pass, state: State) -> Loss:
        return Loss(seen.mean(seen.distortion) + priced(self.beta, seen.mean(seen.closed_rate)), {}, state)

    def _corrupted(self, x: Tensor, noise: Noise) -> Tensor:
        if self.corruption == "mask":
            return x * (noise.uniform(x.shape) >= self.level).to(x.dtype)
        return x + self.level * noise.normal(x.shape)

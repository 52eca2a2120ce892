"""Free bits: D + sum_j max(lambda, E[R_j]) over groups of latents (Kingma et al. 2016, eq. 15; Kingma and Welling 2019, eq. 2.70).

The expectation over the minibatch is inside the maximum. A group whose rate is below lambda feels no pull towards the marginal,
so it is never worth giving up altogether.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State
from ratelab.core.passes import Layer, Pass
from ratelab.core.reference import K19, KINGMA16, Reference
from ratelab.core.target import check_rate, trial


class FreeBits(Objective):
    """D + sum_j max(lambda, E[R_j]), in nats: at least D + R, and equal to it at lambda = 0.

    ``bits``: lambda, in nats per group, whatever its name says. ``per``: what a group is: a ``dimension``; a ``group``, i.e. one entry
    of the first axis of a layer (a feature map, or ``size`` neighbouring dimensions of a vector); or a whole ``layer`` (all of them
    together where the rate does not split).
    """

    references = (Reference(KINGMA16, "eq. 15"), Reference(K19, "eq. 2.70"))
    bits: Tensor

    def __init__(
        self,
        setting: Setting,
        *,
        bits: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.25,
        per: Literal["dimension", "group", "layer"] = "dimension",
        size: Annotated[int, Field(ge=1)] = 1,
    ) -> None:
        super().__init__()
        self.hyper("bits", bits)
        self.per, self.size = per, size
        for shape in setting.latent_shapes if per == "group" else ():
            if shape and shape[0] % size:
                raise UserError(f"objective.size: groups of {size} do not fill a layer of {shape[0]}; give a divisor of it")

    def players(self, model: Model) -> tuple[Player, ...]:
        check_rate(model, "free-bits")
        seen = trial(model)
        if self.per != "layer" and (not seen.splits or any(layer.unit_rate is None for layer in seen.layers)):
            raise UserError(
                f"objective 'free-bits': this model's rate is not a sum over latents, so there is none per {self.per}; set per: layer"
            )
        return super().players(model)

    def loss(self, seen: Pass, state: State) -> Loss:
        per_layer = self.per == "layer"
        rates = (
            seen.mean(seen.closed_rates) if per_layer else torch.cat([self._groups(layer, seen) for layer in seen.layers], -1)
        )
        total = seen.mean(seen.distortion) + torch.maximum(rates, self.bits).sum(-1)
        below = (rates < self.bits).to(rates.dtype).mean(-1)
        return Loss(total, {"share_below": below.detach()}, state)

    def _groups(self, layer: Layer, seen: Pass) -> Tensor:
        """(G,) mean rates of one layer's groups, nats."""
        units = layer.unit_rate
        assert units is not None
        event = len(layer.marginal.event_shape)
        units = units.flatten(-event) if event else units.unsqueeze(-1)
        if self.per == "group" and event:
            units = units.unflatten(-1, (layer.marginal.event_shape[0] // self.size, -1)).sum(-1)
        return seen.mean(units.movedim(-1, -3))

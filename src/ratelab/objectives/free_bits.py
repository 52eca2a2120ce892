"""Free bits: D + sum_j max(lambda, E[R_j]) over groups of latents (Kingma et al. 2016, eq. 15; Kingma and Welling 2019, eq. 2.70).

The expectation over the minibatch is inside the maximum. A group whose rate is below lambda feels no pull towards the marginal,
so it is never worth giving up altogether. A hierarchy may keep more of one layer than of another, and let the price of each layer rise
from 0 at a pace of its own: D + sum_l w_l(epoch) sum_{j in l} max(lambda_l, E[R_j]).
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State
from ratelab.core.passes import Layer, Pass
from ratelab.core.reference import K19, KINGMA16, Reference
from ratelab.core.target import check_rate, one_per_layer, trial
from ratelab.core.warm_up import Epochs, risen

Nats = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class FreeBits(Objective):
    """D + sum_j max(lambda, E[R_j]), in nats: at least D + R, and equal to it at lambda = 0.

    ``bits``: lambda, in nats per group, whatever its name says; one number, or one per layer, top layer first. ``per``: what a group
    is: a ``dimension``; a ``group``, i.e. one entry of the first axis of a layer (a feature map, or ``size`` neighbouring dimensions
    of a vector); or a whole ``layer`` (all of them together where the rate does not split). ``annealing``: epochs over which the
    weight of the sum rises from 0, or, one per layer, that of each layer's part of it.
    """

    references = (Reference(KINGMA16, "eq. 15"), Reference(K19, "eq. 2.70"))
    bits: Tensor
    annealing: Tensor

    def __init__(
        self,
        setting: Setting,
        *,
        bits: Nats | tuple[Nats, ...] = 0.25,
        per: Literal["dimension", "group", "layer"] = "dimension",
        size: Annotated[int, Field(ge=1)] = 1,
        annealing: Epochs | tuple[Epochs, ...] = 0.0,
    ) -> None:
        super().__init__()
        one_per_layer(bits, setting, "objective.bits", "numbers")
        one_per_layer(annealing, setting, "objective.annealing", "warm-ups")
        self.hyper("bits", bits)
        self.hyper("annealing", annealing)
        self.per, self.size, self.epochs = per, size, setting.epochs
        for shape in setting.latent_shapes if per == "group" else ():
            if shape and shape[0] % size:
                raise UserError(f"objective.size: groups of {size} do not fill a layer of {shape[0]}; give a divisor of it")

    def players(self, model: Model) -> tuple[Player, ...]:
        rows = max(self.bits.numel(), self.annealing.numel())
        check_rate(model, "free-bits", rows, what="numbers")
        seen = trial(model)
        if self.per != "layer" and (not seen.splits or any(layer.unit_rate is None for layer in seen.layers)):
            raise UserError(
                f"objective 'free-bits': this model's rate is not a sum over latents, so there is none per {self.per}; set per: layer"
            )
        return super().players(model)

    def loss(self, seen: Pass, state: State) -> Loss:
        if self.per == "layer":
            rates = seen.mean(seen.closed_rates)
            groups = [1] * rates.shape[-1]
        else:
            layers = [self._groups(layer, seen) for layer in seen.layers]
            rates = torch.cat(layers, -1)
            groups = [layer.shape[-1] for layer in layers]
        share = risen(self.annealing, seen.batch.epoch, self.epochs)
        bits, weight = (_each(values, groups) for values in (self.bits, share))
        total = seen.mean(seen.distortion) + (weight * torch.maximum(rates, bits)).sum(-1)
        below = (rates < bits).to(rates.dtype).mean(-1)
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


def _each(values: Tensor, groups: Sequence[int]) -> Tensor:
    """One number for each group of every layer, (G,), from one for each layer; a single number as it is."""
    if values.ndim == 0:
        return values
    return torch.cat([value.expand(n) for value, n in zip(values, groups, strict=True)])

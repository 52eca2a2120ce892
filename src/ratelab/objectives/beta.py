"""The beta-VAE: minimise D + sum_l beta_l R_l (Higgins et al. 2017; Alemi et al. 2018, eq. 6; Xiao and Bamler 2023, eq. 8).

beta = 1 is the negative ELBO; beta < 1 is the alpha-VAE of Crescimanna and Graham 2019. At the optimum of a smooth frontier
dD/dR = -beta. The weight may rise linearly from 0 over the first epochs (KL annealing, Bowman et al. 2016), that of each layer at a
pace of its own, or again and again (cyclical annealing, Fu et al. 2019).
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State
from ratelab.core.passes import Pass
from ratelab.core.reference import A18, C19, FU19, HIGGINS17, X23, Reference
from ratelab.core.serving import check_prices
from ratelab.core.target import one_per_layer, priced
from ratelab.core.warm_up import Epochs, check_cycles, risen

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class Beta(Objective):
    """D + sum_l beta_l R_l, in nats.

    ``beta``: one weight, or one per layer, top layer first, or one per bin where ``bins`` says how many neighbouring layers,
    from the top, share each. ``annealing``: epochs over which the weight rises from 0, one number for all or one per layer (or bin)
    like ``beta``; with ``cycles`` of more than 1 it rises anew in each of that many equal parts of the training. A model that is
    conditioned on beta brings a beta for each example, and leaves ``beta`` at 1.
    """

    prices = True

    references = (
        Reference(HIGGINS17, "eq. 4"), Reference(A18, "eq. 6"), Reference(X23, "eq. 8"), Reference(C19, "eq. 9"),
        Reference(FU19, "eq. 6"),
    )  # fmt: skip
    beta: Tensor
    annealing: Tensor

    def __init__(
        self,
        setting: Setting,
        *,
        beta: Weight | tuple[Weight, ...] = 1.0,
        bins: tuple[Count, ...] | None = None,
        annealing: Epochs | tuple[Epochs, ...] = 0.0,
        cycles: Count = 1,
    ) -> None:
        super().__init__()
        for name, values, what in (("beta", beta, "weights"), ("annealing", annealing, "warm-ups")):
            if bins is None:
                one_per_layer(values, setting, f"objective.{name}", what)
                self.hyper(name, values)
            else:
                self.hyper(name, spread(values, bins, len(setting.latent_shapes), f"objective.{name}", what))
        check_cycles(self.annealing, cycles, setting.epochs)
        self.epochs, self.cycles = setting.epochs, cycles

    def players(self, model: Model) -> tuple[Player, ...]:
        if model.conditioning is not None and bool((self.beta != 1).any()):
            raise UserError(
                "objective.beta: the model is conditioned on beta and brings its own for each example; leave this at 1"
            )
        check_prices(model, "beta", torch.broadcast_tensors(self.beta, self.annealing)[0])
        return super().players(model)

    def loss(self, seen: Pass, state: State) -> Loss:
        share = risen(self.annealing, seen.batch.epoch, self.epochs, self.cycles)
        if seen.batch.condition is not None:  # a weight for each layer and example, (L, 1, B)
            weight = seen.batch.condition.exp().mT.unsqueeze(-2) * share.unsqueeze(-1).unsqueeze(-1)
            return Loss(seen.mean(seen.distortion + (weight * seen.closed_rates).sum(-3)), {}, state)
        distortion, rates = seen.mean(seen.distortion), seen.mean(seen.closed_rates)
        return Loss(distortion + priced(self.beta * share, rates).sum(-1), {}, state)


def spread(values: float | tuple[float, ...], bins: tuple[int, ...], layers: int, where: str, what: str) -> Tensor:
    """One number per layer from one per bin; :class:`UserError` where bins and numbers or layers do not match."""
    numbers = values if isinstance(values, tuple) else (values,) * len(bins)
    if len(numbers) != len(bins):
        raise UserError(f"{where}: {len(numbers)} {what} for {len(bins)} bins; give one number or {len(bins)}")
    if sum(bins) != layers:
        raise UserError(f"objective.bins: bins of {sum(bins)} layers in all for a model of {layers} layer(s); make them add up")
    return torch.tensor(numbers).repeat_interleave(torch.tensor(bins))

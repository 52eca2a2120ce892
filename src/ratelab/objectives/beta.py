"""The beta-VAE: minimise D + sum_l beta_l R_l (Higgins et al. 2017; Alemi et al. 2018, eq. 6; Xiao and Bamler 2023, eq. 8).

beta = 1 is the negative ELBO; beta < 1 is the alpha-VAE of Crescimanna and Graham 2019. At the optimum of a smooth frontier
dD/dR = -beta. The weight may rise linearly from 0 over the first epochs (KL annealing, Bowman et al. 2016), or again and again
(cyclical annealing, Fu et al. 2019).
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
from ratelab.core.schedule import Cyclical, Linear, Schedule
from ratelab.core.serving import check_prices
from ratelab.core.target import one_per_layer, priced

Weight = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


class Beta(Objective):
    """D + sum_l beta_l R_l, in nats.

    ``beta``: one weight, or one per layer, top layer first, or one per bin where ``bins`` says how many neighbouring layers,
    from the top, share each. ``annealing``: epochs over which the weight rises from 0; with ``cycles`` of more than 1 it does so
    anew in each of that many equal parts of the training. A model that is conditioned on beta brings a beta for each example, and
    leaves ``beta`` at 1.
    """

    prices = True

    references = (
        Reference(HIGGINS17, "eq. 4"), Reference(A18, "eq. 6"), Reference(X23, "eq. 8"), Reference(C19, "eq. 9"),
        Reference(FU19, "eq. 6"),
    )  # fmt: skip
    beta: Tensor

    def __init__(
        self,
        setting: Setting,
        *,
        beta: Weight | tuple[Weight, ...] = 1.0,
        bins: tuple[Count, ...] | None = None,
        annealing: Weight = 0.0,
        cycles: Count = 1,
    ) -> None:
        super().__init__()
        if bins is None:
            one_per_layer(beta, setting, "objective.beta", "weights")
            self.hyper("beta", beta)
        else:
            self.hyper("beta", spread(beta, bins, len(setting.latent_shapes)))
        self.epochs = setting.epochs
        self.schedule = rising(annealing, cycles, setting.epochs)

    def players(self, model: Model) -> tuple[Player, ...]:
        if model.conditioning is not None and bool((self.beta != 1).any()):
            raise UserError(
                "objective.beta: the model is conditioned on beta and brings its own for each example; leave this at 1"
            )
        check_prices(model, "beta", self.beta)
        return super().players(model)

    def loss(self, seen: Pass, state: State) -> Loss:
        beta = self.beta if seen.batch.condition is None else seen.batch.condition.exp().mT.unsqueeze(-2)
        weight = beta if self.schedule is None else beta * self.schedule(seen.batch.epoch, self.epochs)
        if seen.batch.condition is not None:  # a weight for each layer and example, (L, 1, B)
            return Loss(seen.mean(seen.distortion + (weight * seen.closed_rates).sum(-3)), {}, state)
        distortion, rates = seen.mean(seen.distortion), seen.mean(seen.closed_rates)
        return Loss(distortion + priced(weight, rates).sum(-1), {}, state)


def spread(beta: float | tuple[float, ...], bins: tuple[int, ...], layers: int) -> Tensor:
    """One weight per layer from one per bin; :class:`UserError` where bins and weights or layers do not match."""
    weights = beta if isinstance(beta, tuple) else (beta,) * len(bins)
    if len(weights) != len(bins):
        raise UserError(f"objective.beta: {len(weights)} weights for {len(bins)} bins; give one number or {len(bins)}")
    if sum(bins) != layers:
        raise UserError(f"objective.bins: bins of {sum(bins)} layers in all for a model of {layers} layer(s); make them add up")
    return torch.tensor(weights).repeat_interleave(torch.tensor(bins))


def rising(annealing: float, cycles: int, epochs: float) -> Schedule | None:
    """The schedule of a weight that rises over ``annealing`` epochs, in each of ``cycles`` parts; None for a constant one."""
    if cycles > 1:
        if not 0 < annealing <= epochs / cycles:
            raise UserError(
                f"objective.cycles: {cycles} cycles in {epochs:g} epochs need 0 < annealing <= {epochs / cycles:g}; got {annealing:g}"
            )
        return Cyclical(cycles, annealing * cycles / epochs)
    return Linear(annealing) if annealing else None

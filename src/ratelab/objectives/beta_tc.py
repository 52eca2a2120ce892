"""The beta-TCVAE: -ELBO + (beta - 1) KL(q(z) || prod_j q(z_j)) (Chen et al. 2018, eq. 4).

The rate splits into I(x; z), the total correlation of the aggregated posterior, and the divergences of its single dimensions;
only the second is made dearer.
"""

from typing import Annotated

from pydantic import Field
from torch import Tensor

from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State
from ratelab.core.passes import Layer, Pass
from ratelab.core.reference import CHEN18, Reference
from ratelab.core.target import check_rate, trial
from ratelab.divergences.total_correlation import Sampling, total_correlation


class BetaTC(Objective):
    """D + R + (beta - 1) TC, in nats; TC is the total correlation of the top layer, whose encoder sees x alone.

    ``sampling``: how the aggregated posterior is estimated from a minibatch.
    """

    references = (Reference(CHEN18, "eq. 4"),)
    beta: Tensor

    def __init__(
        self, setting: Setting, *, beta: Annotated[float, Field(ge=0)] = 6.0, sampling: Sampling = "stratified"
    ) -> None:
        super().__init__()
        self.hyper("beta", beta)
        self.examples, self.sampling = setting.examples, sampling

    def players(self, model: Model) -> tuple[Player, ...]:
        check_rate(model, "beta-tc", verb="minimises")
        top = trial(model).layers[0]
        if top.auxiliary:
            raise UserError("objective 'beta-tc' needs the encoder's law of the latents, an integral in this model; use 'beta'")
        if top.encoder is None or top.z.ndim < 3 or top.encoder.unit_log_prob(top.z) is None:
            raise UserError("objective 'beta-tc' needs an encoder that factorises over its latents, e.g. 'gaussian'")
        return super().players(model)

    def loss(self, seen: Pass, state: State) -> Loss:
        correlation = seen.mean(total_correlation(pairwise(seen.layers[0]), self.examples, self.sampling))
        total = seen.mean(seen.distortion) + seen.mean(seen.closed_rate) + (self.beta - 1) * correlation
        return Loss(total, {"total_correlation": correlation.detach()}, state)


def pairwise(layer: Layer) -> Tensor:
    """(K, B, B, d): log e(z_i,j | x_n) of every draw i under every example n, dimension by dimension."""
    assert layer.encoder is not None
    event = len(layer.marginal.event_shape)
    units = layer.encoder.unit_log_prob(layer.z.unsqueeze(-1 - event))
    assert units is not None
    return units.flatten(-event)

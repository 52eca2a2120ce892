"""The importance-weighted bound with doubly reparameterised gradients (Tucker et al. 2019, eq. 8).

With normalised weights w_k, the encoder's gradient is sum_k w_k^2 (d log w_k / d z_k) (d z_k / d phi): the score of log e is
reparameterised once more, so that the signal does not vanish as K grows. The decoder's gradient is the usual one, with w_k.
"""

from typing import Annotated

import torch
from pydantic import Field

from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State, valued
from ratelab.core.passes import Pass
from ratelab.core.reference import TUCKER19, Reference
from ratelab.core.serving import check_drawn, check_laws, check_one_layer
from ratelab.core.target import check_rate
from ratelab.objectives.iwae import log_mean_weight
from ratelab.objectives.sticking import held_log_encoder


class DoublyReparameterised(Objective):
    """-L_K in nats for a model with one layer of latents. ``samples``: K."""

    references = (Reference(TUCKER19, "eq. 8"),)

    def __init__(self, setting: Setting, *, samples: Annotated[int, Field(ge=1)] = 5) -> None:
        super().__init__()
        self.samples = samples

    def players(self, model: Model) -> tuple[Player, ...]:
        check_rate(model, "doubly-reparameterised", verb="weighs draws by")
        check_drawn(model, "doubly-reparameterised")
        check_one_layer(model, "doubly-reparameterised", "iwae")
        check_laws(model, "doubly-reparameterised")
        return super().players(model)

    def loss(self, seen: Pass, state: State) -> Loss:
        bound = log_mean_weight(seen)
        log_weights = sum((layer.log_marginal - held_log_encoder(layer) for layer in seen.layers), start=-seen.distortion)
        shares = log_weights.detach().softmax(0)
        surrogate = -seen.mean((shares * log_weights).sum(0, keepdim=True))
        # The decoder's gradient carries w_k; what goes back through z needs w_k once more.
        places = [layer.z for layer in seen.layers if layer.z.requires_grad]
        slopes = torch.autograd.grad(surrogate, places, retain_graph=True) if places else ()
        for z, slope in zip(places, slopes, strict=True):
            again = shares.unflatten(-1, (-1, *(1,) * (z.ndim - 2))) - 1
            surrogate = surrogate + ((again * slope).detach() * z).sum()
        return Loss(valued(-seen.mean(bound.unsqueeze(0)), surrogate), {}, state)

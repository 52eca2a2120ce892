"""The adversarial autoencoder: D + what a discriminator of codes makes of q(z) against m(z) (Makhzani et al. 2015; Rosca et al. 2018,
section 4).

    discriminator: -E_m(z) log C(z) - E_q(z) log(1 - C(z))        model: D - E_q(z) log C(z)

At the best C the former is 2 log 2 - 2 JSD(q(z), m(z)), so the codes are matched to the marginal as a whole and nothing keeps a single
posterior wide: I_q is dropped from the ELBO's R = I_q + KL(q(z) || m(z)).
"""

import math
from typing import Annotated

import torch
from pydantic import Field
from torch.nn import functional as F

from ratelab.core.batch import Batch, Noise
from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State, Turn
from ratelab.core.passes import Pass
from ratelab.core.reference import MAKHZANI15, R18, Reference
from ratelab.core.serving import check_drawn, check_real_codes
from ratelab.networks.discriminator import Discriminator

Count = Annotated[int, Field(ge=1)]


class AdversarialAutoencoder(Objective):
    """D - E_q(z) log C(z), nats, against a code discriminator C of ``layers`` layers of ``width`` units with leaky ReLU 0.2.

    The discriminator takes its turn after the model, on fresh codes of the same batch (label 0) and as many draws of the marginal
    (label 1). The log shows E_q -log C as ``adversarial``, and log 2 less half the discriminator's loss as ``jsd``: below
    JSD(q(z), m(z)) in expectation, and equal to it at the best C. The rate is measured as always and paid by nobody; a deterministic
    encoder serves as well. Of a hierarchy the top layer's law is matched.
    """

    references = (Reference(MAKHZANI15, "section 2"), Reference(R18, "section 4 and App. K"))

    def __init__(self, setting: Setting, *, layers: Count = 3, width: Count = 1000) -> None:
        super().__init__()
        self.discriminator = Discriminator(next(iter(setting.latent_shapes), ()), layers=layers, width=width)

    def players(self, model: Model) -> tuple[Player, ...]:
        check_drawn(model, "adversarial-autoencoder")
        check_real_codes(model, "adversarial-autoencoder")
        discriminator = Player("discriminator", tuple(self.discriminator.parameters()), self.tell_apart)
        return (*super().players(model), discriminator)

    def loss(self, seen: Pass, state: State) -> Loss:
        fooling = seen.mean(F.softplus(-self.discriminator(seen.top.z)))
        return Loss(seen.mean(seen.distortion) + fooling, {"adversarial": fooling.detach()}, state)

    def tell_apart(self, model: Model, batch: Batch, noise: Noise, state: State) -> Turn:
        """The discriminator's turn."""
        with torch.no_grad():
            seen = model(batch, noise, self.samples)
            codes, drawn = seen.top.z, seen.top.marginal.draw(noise, batch.size).value
        loss = F.softplus(-self.discriminator(drawn)).mean() + seen.mean(F.softplus(self.discriminator(codes)))
        return Turn(Loss(loss, {"jsd": math.log(2) - loss.detach() / 2}, state), None)

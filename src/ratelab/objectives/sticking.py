"""Sticking the landing: the ELBO's gradient without the score of the encoder's own density (Roeder et al. 2017, eq. 8).

The gradient of E[log e(z|x) - log joint] with respect to the encoder's parameters has two parts: through z, and directly through
log e. The second has mean zero, so it can be left out; what remains has no variance where e is the posterior.
"""

from torch import Tensor

from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State
from ratelab.core.passes import Layer, Pass
from ratelab.core.reference import ROEDER17, Reference
from ratelab.core.serving import check_drawn, check_laws
from ratelab.core.target import check_rate


class StickingTheLanding(Objective):
    """-ELBO in nats from samples, with the encoder's parameters held fixed inside log e."""

    references = (Reference(ROEDER17, "eq. 8"),)

    def __init__(self, setting: Setting) -> None:
        super().__init__()

    def players(self, model: Model) -> tuple[Player, ...]:
        check_rate(model, "sticking-the-landing", verb="minimises")
        check_drawn(model, "sticking-the-landing")
        check_laws(model, "sticking-the-landing")
        return super().players(model)

    def loss(self, seen: Pass, state: State) -> Loss:
        log_joint = sum((layer.log_marginal for layer in seen.layers), start=-seen.distortion)
        log_encoder = sum(held_log_encoder(layer) for layer in seen.layers)
        return Loss(seen.mean(log_encoder - log_joint), {}, state)


def held_log_encoder(layer: Layer) -> Tensor:
    """(K, B) log e(z_l | ...) whose gradient flows through z alone, nats.

    What an upper layer's draw does to the law is held too: given that draw, the score still has mean zero.
    """
    assert layer.encoder is not None
    return layer.encoder.detached().log_prob(layer.z)

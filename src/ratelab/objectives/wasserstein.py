"""The Wasserstein critic's loss with gradient penalty: E_q[f] - E_p[f] + lambda E(||f'(x^)||_2 - 1)^2 (Gulrajani et al. 2017; Rosca et
al. 2018, section 4.1).

Trained beside a generator a critic takes five steps to its one; an independent critic has no generator to wait for it.
"""

from torch import Tensor

from ratelab.core.batch import Batch, Noise
from ratelab.core.critic import Critic
from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State, Turn
from ratelab.core.passes import Pass
from ratelab.core.reference import GULRAJANI17, R18, Reference
from ratelab.distributions.bernoulli import Bernoulli
from ratelab.divergences.wasserstein import critic_loss
from ratelab.objectives.discrimination import Weight, check_critic, slope_penalty


class Wasserstein(Objective):
    """E_q[f] - E_p[f] on pairs of draws plus ``penalty`` times the squared excess of f's slope over 1; no nats.

    The log shows E_p[f] - E_q[f] as ``distance``.
    """

    references = (Reference(GULRAJANI17, "eq. 3"), Reference(R18, "section 4.1"))
    stacks = False
    penalty: Tensor

    def __init__(self, setting: Setting, *, penalty: Weight = 10.0) -> None:
        super().__init__()
        self.hyper("penalty", penalty)

    def players(self, model: Model) -> tuple[Player, ...]:
        check_critic(model, "wasserstein")
        return super().players(model)

    def turn(self, model: Model, batch: Batch, noise: Noise, state: State) -> Turn:
        assert isinstance(model, Critic)
        pairs = model.meet(batch, noise)
        seen = model.judge(batch, pairs, noise)
        loss, steep = self.loss(seen, state), slope_penalty(model, pairs, noise)
        return Turn(Loss(loss.total + self.penalty * steep, {**loss.terms, "steepness": steep.detach()}, state), seen)

    def loss(self, seen: Pass, state: State) -> Loss:
        """The part that a pass alone determines; :meth:`turn` adds the penalty."""
        assert isinstance(seen.decoder, Bernoulli)
        real, fake = seen.decoder.logits.unbind(-1)
        apart = critic_loss(real, fake).mean()
        return Loss(apart, {"distance": -apart.detach()}, state)

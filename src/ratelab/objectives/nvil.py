"""NVIL: score-function gradients with a learned baseline (Mnih and Gregor 2014, section 2.3-2.4).

The signal l of an example is compared with b(x) + c: a small network trained to predict it, and a running mean. What is left is
divided by max(1, its running standard deviation), a scale that all examples share.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State, valued
from ratelab.core.passes import Pass
from ratelab.core.reference import MNIH14, Reference
from ratelab.networks.layers import size_of
from ratelab.objectives.score_function import MEMORY, Samples, check_scores, log_densities


class Nvil(Objective):
    """-ELBO in nats with score-function gradients and a baseline that sees x.

    ``hidden``: width of the baseline's one hidden layer. ``normalise``: divide by the running standard deviation where it exceeds 1;
    the gradient is then that of a rescaled objective.
    """

    references = (Reference(MNIH14, "section 2.3-2.4"),)
    path = False
    origin: Tensor

    def __init__(
        self, setting: Setting, *, samples: Samples = 1, hidden: Annotated[int, Field(ge=1)] = 100, normalise: bool = True
    ) -> None:
        super().__init__()
        self.samples, self.normalise = samples, normalise
        self.register_buffer("origin", torch.zeros(()), persistent=False)
        self.baseline = nn.Sequential(nn.Linear(size_of(setting.event_shape), hidden), nn.Tanh(), nn.Linear(hidden, 1))

    def initial_state(self) -> State:
        return {"mean": torch.zeros_like(self.origin), "variance": torch.ones_like(self.origin)}

    def players(self, model: Model) -> tuple[Player, ...]:
        check_scores(model, "nvil")
        # The baseline's error reaches the baseline alone: the signal it predicts is held fixed.
        return (Player("model", (*model.parameters(), *self.parameters()), self.turn),)

    def loss(self, seen: Pass, state: State) -> Loss:
        log_encoder, log_joint = log_densities(seen)
        signal = (log_joint - log_encoder).detach()
        x = seen.batch.x
        predicted = self.baseline(x.reshape(x.shape[0], -1)).squeeze(-1)
        left = signal - state["mean"] - predicted
        scale = state["variance"].sqrt().clamp(min=1) if self.normalise else 1.0
        centred = left.detach() / scale
        surrogate = -seen.mean(log_joint + centred * log_encoder) + seen.mean(left.square())
        following = {
            "mean": MEMORY * state["mean"] + (1 - MEMORY) * seen.mean(signal),
            "variance": MEMORY * state["variance"] + (1 - MEMORY) * left.detach().var(unbiased=False),
        }
        return Loss(valued(-seen.mean(signal), surrogate), {"signal_variance": centred.var(unbiased=False)}, following)

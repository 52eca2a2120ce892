"""The score-function gradient of the ELBO, for latents that cannot be reparameterised (Williams 1992; K19, eq. 2.72-2.73).

grad_phi E_e[l] = E_e[(l - b) grad_phi log e(z|x)] with the learning signal l = log d(x|z) + log m(z) - log e(z|x). A baseline b that
does not depend on z leaves the mean as it is, because log e's own gradient has mean zero, and lowers the variance.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State, valued
from ratelab.core.passes import Pass
from ratelab.core.reference import K19, WILLIAMS92, Reference
from ratelab.core.serving import check_drawn, check_laws
from ratelab.core.target import check_rate
from ratelab.encoders.categorical import CategoricalEncoder

MEMORY = 0.9  # of the running baseline, per step
Samples = Annotated[int, Field(ge=1)]


class ScoreFunction(Objective):
    """-ELBO in nats with score-function gradients for the encoder.

    ``baseline``: ``none``; ``running`` mean of the signal over past steps; or ``others``, the mean signal of the same example's other
    ``samples``.
    """

    references = (Reference(WILLIAMS92, "section 5"), Reference(K19, "eq. 2.72-2.73"))
    path = False
    origin: Tensor

    def __init__(
        self, setting: Setting, *, baseline: Literal["none", "running", "others"] = "running", samples: Samples = 1
    ) -> None:
        super().__init__()
        if baseline == "others" and samples < 2:
            raise UserError("objective.baseline: 'others' compares the samples of an example; set samples to 2 or more")
        self.baseline, self.samples = baseline, samples
        self.register_buffer("origin", torch.zeros(()), persistent=False)

    def initial_state(self) -> State:
        return {"baseline": torch.zeros_like(self.origin)} if self.baseline == "running" else {}

    def players(self, model: Model) -> tuple[Player, ...]:
        check_scores(model, "score-function")
        return super().players(model)

    def loss(self, seen: Pass, state: State) -> Loss:
        log_encoder, log_joint = log_densities(seen)
        signal = (log_joint - log_encoder).detach()
        centred = signal
        if self.baseline == "running":
            centred = signal - state["baseline"]
            state = {"baseline": MEMORY * state["baseline"] + (1 - MEMORY) * seen.mean(signal)}
        elif self.baseline == "others":
            centred = (signal - signal.mean(0)) * (self.samples / (self.samples - 1))
        surrogate = -seen.mean(log_joint + centred * log_encoder)
        return Loss(valued(-seen.mean(signal), surrogate), {"signal_variance": centred.var(unbiased=False)}, state)


def log_densities(seen: Pass) -> tuple[Tensor, Tensor]:
    """(log e(z|x), log d(x|z) + log m(z)) of all layers, (K, B) each, nats."""
    log_encoder = torch.stack([layer.log_encoder for layer in seen.layers]).sum(0)
    return log_encoder, sum((layer.log_marginal for layer in seen.layers), start=-seen.distortion)


def check_scores(model: Model, objective: str) -> None:
    """:class:`UserError` where draws have no density of their own, or are relaxed ones that the categorical one does not describe."""
    check_rate(model, objective, verb="weighs draws by")
    check_drawn(model, objective)
    check_laws(model, objective)
    if any(isinstance(module, CategoricalEncoder) and module.gradient == "relaxed" for module in model.modules()):
        raise UserError(
            f"objective '{objective}' scores one-hot draws, and this encoder's are relaxed; set gradient: straight-through in it"
        )

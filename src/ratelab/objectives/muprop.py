"""MuProp: the score function with a first-order Taylor expansion as control variate (Gu et al. 2016, eq. 7-8).

With the mean-field point z0 = E_e[z|x] and the signal l, the gradient is
(l(z) - l(z0) - l'(z0)(z - z0)) grad log e(z|x) + l'(z0) grad z0: unbiased, for the expansion's mean is known.
"""

import torch
from torch import Tensor

from ratelab.core.batch import Batch, Noise
from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State, Turn, valued
from ratelab.core.passes import Layer, Pass
from ratelab.core.reference import GU16, Reference
from ratelab.core.serving import check_one_layer
from ratelab.objectives.score_function import Samples, check_scores, log_densities


class MuProp(Objective):
    """-ELBO in nats with score-function gradients and a Taylor control variate, for one layer of latents."""

    references = (Reference(GU16, "eq. 7-8"),)
    path = False

    def __init__(self, setting: Setting, *, samples: Samples = 1) -> None:
        super().__init__()
        self.samples = samples

    def players(self, model: Model) -> tuple[Player, ...]:
        check_scores(model, "muprop")
        check_one_layer(model, "muprop", "nvil")
        return super().players(model)

    def turn(self, model: Model, batch: Batch, noise: Noise, state: State) -> Turn:
        seen = model(batch, noise, self.samples, self.path)
        log_encoder, log_joint = log_densities(seen)
        value, expansion, straight = expanded(model, seen.target, seen.layers[0])
        signal = (log_joint - log_encoder).detach()
        surrogate = -seen.mean(log_joint + (signal - value - expansion) * log_encoder) - seen.mean(straight)
        return Turn(Loss(valued(-seen.mean(signal), surrogate), {}, state), seen)

    def loss(self, seen: Pass, state: State) -> Loss:
        """The -ELBO of a pass; :meth:`turn` gives it its gradient, for which the model is asked at the mean-field point too."""
        log_encoder, log_joint = log_densities(seen)
        return Loss(seen.mean(log_encoder - log_joint), {}, state)


def expanded(model: Model, target: Tensor, layer: Layer) -> tuple[Tensor, Tensor, Tensor]:
    """(l(z0), l'(z0)(z - z0), l'(z0) z0), (1 or K, B) each: only the last carries a gradient, the encoder's through z0."""
    assert layer.encoder is not None
    held = layer.encoder.detached()
    mean = layer.encoder.mean.unsqueeze(0)
    point = mean.detach()
    signal, pull = torch.func.vjp(lambda z: model.log_joint(target, (z,)) - held.log_prob(z), point)  # type: ignore[misc]
    (slope,) = pull(torch.ones_like(signal))
    events = tuple(range(2, mean.ndim))
    expansion = (slope * (layer.z - point)).sum(events).detach()
    return signal.detach(), expansion, (slope.detach() * mean).sum(events)

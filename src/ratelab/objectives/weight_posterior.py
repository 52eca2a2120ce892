"""A posterior of the generative weights: D + R + KL(q(W) || p(W)) / N with q(W) = N(M, S^2), weight by weight.

Full variational Bayes (Kingma and Welling 2014, App. F; Blundell et al. 2015, "Bayes by Backprop") with the local reparameterisation of
Kingma, Salimans and Welling 2015, eq. 6: a = x W' has the law N(x M', x^2 S^2'), so activations are drawn and not weights. The gradient
has the same mean and less variance, for every example then has noise of its own. Noise in proportion to M^2 is variational dropout.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ratelab.core.batch import Batch, Noise
from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State, Turn
from ratelab.core.passes import Pass
from ratelab.core.reference import BLUNDELL15, K19, KINGMA15, Reference
from ratelab.core.target import check_rate

Drawn = Literal["activations", "weights"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class WeightPosterior(Objective):
    """D + R + KL(q(W) || p(W)) / N in nats per example, for the weights of the generative side's fully connected layers.

    The model holds the means M, which is what is kept, measured and logged; biases and other layers are points. ``spread``: of the law
    N(0, spread^2) of each weight; ``start``: S before training; ``drawn``: what is drawn anew at every pass, ``activations`` (the local
    reparameterisation) or ``weights``. The log shows the cost per example as ``weight_cost`` and the geometric mean of S as ``deviation``.
    """

    references = (Reference(KINGMA15, "eq. 6"), Reference(BLUNDELL15, "eq. 2"), Reference(K19, "section 2.9.1"))
    stacks = False
    spread: Tensor

    def __init__(
        self, setting: Setting, *, spread: Positive = 1.0, start: Positive = 0.01, drawn: Drawn = "activations"
    ) -> None:
        super().__init__()
        self.hyper("spread", spread)
        self.start, self.drawn, self.examples = start, drawn, setting.examples
        self.log_deviations = nn.ParameterList()

    def players(self, model: Model) -> tuple[Player, ...]:
        check_rate(model, "weight-posterior", verb="minimises")
        layers = linear_layers(model)
        if not layers:
            raise UserError(
                "objective 'weight-posterior' is of the weights of fully connected layers, and this model's generative side has none;"
                " use an 'mlp' decoder network, or 'map'"
            )
        starts = [torch.full_like(layer.weight, float(torch.tensor(self.start).log())) for layer in layers]
        self.log_deviations = nn.ParameterList(nn.Parameter(start.detach()) for start in starts)
        return (Player("model", (*model.parameters(), *self.log_deviations), self.turn),)

    def turn(self, model: Model, batch: Batch, noise: Noise, state: State) -> Turn:
        with torch.no_grad():
            seen = model(batch, noise, self.samples, self.path)
        layers, deviations = linear_layers(model), list(self.log_deviations)
        with drawn_anew(layers, deviations, self.drawn, noise):
            noisy = model(batch, noise, self.samples, self.path)
            loss = self.loss(noisy, state)  # inside: a law may ask its network only when it scores
        cost = sum(
            (self._divergence(m.weight, s) for m, s in zip(layers, deviations, strict=True)), start=loss.total.new_zeros(())
        )
        cost = cost / self.examples
        mean = torch.cat([s.detach().flatten() for s in deviations]).mean().exp()
        return Turn(Loss(loss.total + cost, {"weight_cost": cost.detach(), "deviation": mean}, state), seen)

    def loss(self, seen: Pass, state: State) -> Loss:
        """The part that a pass alone determines, D + R; :meth:`turn` draws weights for it and adds what their posterior costs."""
        return Loss(seen.mean(seen.distortion) + seen.mean(seen.closed_rate), {}, state)

    def _divergence(self, mean: Tensor, log_deviation: Tensor) -> Tensor:
        """KL(N(M, S^2) || N(0, spread^2)) summed over a layer's weights, nats."""
        scaled = (log_deviation.exp().square() + mean.square()) / (2 * self.spread.square())
        return (self.spread.log() - log_deviation + scaled - 0.5).sum()


def linear_layers(model: Model) -> list[nn.Linear]:
    """The fully connected layers whose weights belong to the generative side."""
    generative = {id(parameter) for parameter in model.group("generative")}
    return [module for module in model.modules() if isinstance(module, nn.Linear) and id(module.weight) in generative]


@contextmanager
def drawn_anew(layers: list[nn.Linear], log_deviations: list[Tensor], drawn: Drawn, noise: Noise) -> Iterator[None]:
    """While it lasts, the outputs of ``layers`` (o, i) are those of weights drawn with the deviations exp(``log_deviations``) (o, i)."""
    by_layer = dict(zip(layers, log_deviations, strict=True))

    def hook(layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        assert isinstance(layer, nn.Linear)
        return output + disturbance(inputs[0], by_layer[layer], drawn, noise)

    handles = [layer.register_forward_hook(hook) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def disturbance(x: Tensor, log_deviation: Tensor, drawn: Drawn, noise: Noise) -> Tensor:
    """x (W - M)' for inputs ``x`` (\\*lead, i) and W ~ N(M, S^2) (o, i): one W for all of them, or as if each had a W of its own."""
    deviation = log_deviation.exp()
    if drawn == "weights":
        return x @ (deviation * noise.normal(deviation.shape)).mT
    variance = x.square() @ deviation.square().mT
    return (variance + torch.finfo(x.dtype).tiny).sqrt() * noise.normal(variance.shape)

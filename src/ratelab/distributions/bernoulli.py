"""Independent Bernoulli pixels, computed from logits: log p(x) = x l - softplus(l) (Kingma and Welling 2019, eq. 1.18)."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ratelab.core.batch import Noise
from ratelab.core.law import Abilities, Draw, Law, full_precision, sum_event

FACTORS = 56  # of which a product is taken; float32 holds e^88, and 56 pixels at chance make e^39


class Bernoulli(Law):
    """Bernoulli(sigmoid(logits)) over the trailing ``event_axes`` axes. A draw is 0 or 1 and carries no gradient.

    On grey values in [0, 1] the formula is a loss, not a log-likelihood: ``normalised`` then is False.
    """

    mass = True
    abilities = Abilities(elementwise=True, closed_kl=True)

    def __init__(self, logits: Tensor, *, event_axes: int = 1, normalised: bool = True) -> None:
        self.logits = full_precision(logits)
        self.normalised = normalised
        split = logits.ndim - event_axes
        self.batch_shape, self.event_shape = tuple(logits.shape[:split]), tuple(logits.shape[split:])

    @property
    def mean(self) -> Tensor:
        return torch.sigmoid(self.logits)

    def draw(self, noise: Noise, samples: int | None = None) -> Draw:
        return Draw((noise.uniform(self._shape(samples)) < self.mean).to(self.logits.dtype))

    def _cross_entropy(self, value: Tensor) -> Tensor:
        logits = self.logits
        if logits.shape == (1, *value.shape):  # one sample, the usual case in training: a view, nothing to expand
            value = value.unsqueeze(0)
        elif logits.shape != value.shape:
            logits, value = torch.broadcast_tensors(logits, value)
        return F.binary_cross_entropy_with_logits(logits, value, reduction="none")

    def unit_log_prob(self, value: Tensor) -> Tensor:
        return -self._cross_entropy(value)

    def log_prob(self, value: Tensor) -> Tensor:
        # The sign is changed after the sum: one pass over the pixels less, forwards and backwards.
        if torch.is_grad_enabled():
            return -sum_event(self._cross_entropy(value), self.event_shape)
        return -self._cross_entropy_sum(value)

    def _cross_entropy_sum(self, value: Tensor) -> Tensor:
        """log(1 + e^m) summed over the event, m = l where x = 0 and -l where x = 1: the same number, faster where no gradient is wanted.

        One exponential for each pixel and one logarithm for each product of many 1 + e^m, in one tensor of scratch memory. Grey values, and
        examples with a product that float32 does not hold, are summed pixel by pixel.
        """
        if bool((value * (1 - value)).any()):
            return sum_event(self._cross_entropy(value), self.event_shape)
        size = math.prod(self.event_shape)
        together = next(n for n in range(FACTORS, 0, -1) if size % n == 0)
        factors = (self.logits * (1 - 2 * value)).exp_().add_(1)
        groups = (*factors.shape[: factors.ndim - len(self.event_shape)], size // together, together)
        total = factors.reshape(groups).prod(-1).log_().sum(-1)
        beyond = ~total.isfinite()
        if bool(beyond.any()):
            logits, value = torch.broadcast_tensors(self.logits, value)
            pixels = F.binary_cross_entropy_with_logits(logits[beyond], value[beyond], reduction="none")
            total[beyond] = sum_event(pixels, self.event_shape)
        return total

    def kl(self, other: Law) -> Tensor | None:
        if not isinstance(other, Bernoulli):
            return None
        on = self.mean * (F.logsigmoid(self.logits) - F.logsigmoid(other.logits))
        return on + (1 - self.mean) * (F.logsigmoid(-self.logits) - F.logsigmoid(-other.logits))

    def detached(self) -> "Bernoulli":
        return Bernoulli(self.logits.detach(), event_axes=len(self.event_shape), normalised=self.normalised)

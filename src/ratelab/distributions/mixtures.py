"""Mixtures: sum_i w_i p_i(z), of Gaussians by one matrix product, of any other laws component by component."""

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ratelab.core.batch import Noise
from ratelab.core.law import Draw, Law, full_precision, without_autocast
from ratelab.distributions.gaussians import HALF_LOG_2PI, DiagonalGaussian

BLOCK = 256  # rows scored at once: their (256, N) scores stay in the cache


class Mixture(Law):
    """sum_i w_i p_i. ``logits``: (N,), softmax of which are the weights; ``parts``: one law of batch shape (N,) over vectors.

    A draw is one component's draw: gradients reach that component, not the weights. It draws all N and keeps one, so it
    suits a marginal, which is drawn from seldom and scored often.
    """

    batch_shape = ()

    def __init__(self, logits: Tensor, parts: Law) -> None:
        self.log_weights = full_precision(logits).log_softmax(-1)
        self.parts = parts
        self.event_shape = parts.event_shape
        self.abilities = replace(parts.abilities, elementwise=False, closed_kl=False)

    @property
    @without_autocast
    def mean(self) -> Tensor:
        return torch.einsum("n,n...->...", self.log_weights.exp(), self.parts.mean)

    def draw(self, noise: Noise, samples: int | None = None) -> Draw:
        """A mode request yields the mode of the heaviest component."""
        lead = () if samples is None else (samples,)
        chosen = (self.log_weights + noise.gumbel((*lead, len(self.log_weights)))).argmax(-1)
        return Draw(self._draw_part(noise, chosen))

    def _draw_part(self, noise: Noise, chosen: Tensor) -> Tensor:
        values = self.parts.draw(noise, *chosen.shape).value  # (*lead, N, *event)
        index = chosen.reshape(*chosen.shape, 1, *(1 for _ in self.event_shape))
        return values.gather(chosen.ndim, index.expand(*chosen.shape, 1, *self.event_shape)).squeeze(chosen.ndim)

    def log_prob(self, value: Tensor) -> Tensor:
        return torch.logsumexp(self.log_weights + self._part_log_probs(value), -1)

    def _part_log_probs(self, value: Tensor) -> Tensor:
        return self.parts.log_prob(value.unsqueeze(-1 - len(self.event_shape)))

    def detached(self) -> "Mixture":
        return type(self)(self.log_weights.detach(), self.parts.detached())


class GaussianMixture(Mixture):
    """A mixture of diagonal Gaussians over vectors, ``parts`` of shape (N, d), scored by one matrix product.

    -1/2 sum_j (z_j - mu_ij)^2 / s_ij^2 is linear in (z_j^2, z_j) for all i at once. Coordinates are centred on the
    components' weighted mean first, because the expanded square loses digits far from the origin: in float32 the error stays
    below 0.002 nats for 64 latents with components a tenth as wide as they lie apart, and reaches 0.15 for a hundredth.
    """

    parts: DiagonalGaussian

    def _draw_part(self, noise: Noise, chosen: Tensor) -> Tensor:
        scale = self.parts.scale.expand(self.parts.loc.shape)
        return self.parts.loc[chosen] + scale[chosen] * noise.normal((*chosen.shape, *self.event_shape))

    @without_autocast
    def log_prob(self, value: Tensor) -> Tensor:
        centre, weights, bias = self._linear_form()
        value = full_precision(value) - centre
        rows = torch.cat([value.square(), value], -1).reshape(-1, weights.shape[-1])
        scores = torch.cat([log_sum_exp(F.linear(block, weights, bias)) for block in rows.split(BLOCK)])
        return scores.reshape(value.shape[:-1])

    def _linear_form(self) -> tuple[Tensor, Tensor, Tensor]:
        """The centre (d,), the weights (N, 2d) of (z^2, z), and what does not depend on z, (N,)."""
        centre = (self.log_weights.exp() @ self.parts.loc).detach()
        loc = self.parts.loc - centre
        precision = self.parts.scale.expand(loc.shape).square().reciprocal()
        pull = precision * loc
        constant = -(0.5 * pull * loc + self.parts.log_scale).sum(-1) - HALF_LOG_2PI * loc.shape[-1]
        return centre, torch.cat([-0.5 * precision, pull], -1), self.log_weights + constant


def log_sum_exp(scores: Tensor) -> Tensor:
    """log sum exp over the last axis, a third faster than torch's: log-softmax is one fused sweep, forwards and backwards.

    scores_i - log_softmax_i is the answer for every i: the value is taken at the largest, where nothing cancels, the
    gradient at the first, where it is cheapest.
    """
    normalised = scores.log_softmax(-1)
    value = scores.detach().amax(-1) - normalised.detach().amax(-1)
    first = scores[..., 0] - normalised[..., 0]
    return value + (first - first.detach())


def mixture(logits: Tensor, parts: Law) -> Mixture:
    """The mixture of ``parts`` in its fastest form."""
    if isinstance(parts, DiagonalGaussian) and len(parts.event_shape) == 1:
        return GaussianMixture(logits, parts)
    return Mixture(logits, parts)

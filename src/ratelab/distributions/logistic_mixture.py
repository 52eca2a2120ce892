"""Mixtures of discretised logistics with coupled colours (Salimans et al. 2017, PixelCNN++, eq. 1-3).

One mixture component is chosen for a pixel, all its colours together. Given the component, a colour's mean is shifted by
tanh-bounded multiples of the colours before it, so that red, green and blue are drawn in sequence.
"""

import torch
from torch import Tensor

from ratelab.core.batch import Noise
from ratelab.core.law import Draw, Law, full_precision
from ratelab.distributions.discretised import LOG_SCALES, clipped_mean, log_level_mass, logistic_draw
from ratelab.distributions.levels import TOP, level_of


def mixture_parameters(channels: int, components: int) -> int:
    """Parameters of one pixel: logits, means, log-scales, and one coefficient for each pair of colours.

    >>> mixture_parameters(3, 10), mixture_parameters(1, 10)
    (100, 30)
    """
    return components * (1 + 2 * channels + channels * (channels - 1) // 2)


class LogisticMixture(Law):
    """A law of images. ``parameters``: (\\*batch, P, H, W) with P = :func:`mixture_parameters`; the event is (C, H, W).

    ``fallback``: see :func:`~ratelab.distributions.discretised.log_level_mass`.
    """

    mass = True

    def __init__(self, parameters: Tensor, *, channels: int, components: int = 10, fallback: bool = False) -> None:
        self.parameters, self.channels, self.components = full_precision(parameters), channels, components
        self.fallback = fallback
        self.batch_shape = tuple(parameters.shape[:-3])
        self.event_shape = (channels, *parameters.shape[-2:])
        pairs = channels * (channels - 1) // 2
        sizes = [n * components for n in (1, channels, channels, pairs)]
        logits, locs, log_scales, couplings = self.parameters.split(sizes, dim=-3)
        self.log_weights = logits.log_softmax(-3)  # (*batch, M, H, W)
        self.locs = locs.unflatten(-3, (channels, components))  # (*batch, C, M, H, W)
        self.log_scales = log_scales.unflatten(-3, (channels, components)).clamp(*LOG_SCALES)
        self.couplings = torch.tanh(couplings).unflatten(-3, (pairs, components))

    def _means(self, channel: int, before: list[Tensor]) -> Tensor:
        """Component means of a colour given the colours before it, on [-1, 1]: (\\*batch, M, H, W)."""
        mean = self.locs.select(-4, channel)
        first = channel * (channel - 1) // 2
        for pair, colour in enumerate(before, start=first):
            mean = mean + self.couplings.select(-4, pair) * colour
        return mean

    @property
    def mean(self) -> Tensor:
        """Each component's clipped means, colour after colour, averaged over components: within a level of the exact mean
        for a grey pixel, and blind to how clipping bends the coupling of colours."""
        colours: list[Tensor] = []
        for channel in range(self.channels):
            colours.append(clipped_mean(self._means(channel, colours), self.log_scales.select(-4, channel)))
        stacked = torch.stack(colours, -4)
        return ((self.log_weights.exp().unsqueeze(-4) * stacked).sum(-3) + 1) / 2

    def draw(self, noise: Noise, samples: int | None = None) -> Draw:
        """A component by the Gumbel-max rule, then the colours in sequence, each rounded to its level. No gradient."""
        lead = (*(() if samples is None else (samples,)), *self.batch_shape)
        pixels = tuple(self.event_shape[1:])
        perturbed = self.log_weights + noise.gumbel((*lead, self.components, *pixels))
        chosen = perturbed.argmax(-3, keepdim=True)
        uniform = noise.uniform((*lead, self.channels, *pixels))
        colours: list[Tensor] = []
        for channel in range(self.channels):
            before = [colour.unsqueeze(-3) for colour in colours]
            loc, log_scale = (
                t.expand(*lead, self.components, *pixels).gather(-3, chosen).squeeze(-3)
                for t in (self._means(channel, before), self.log_scales.select(-4, channel))
            )
            v = logistic_draw(loc, log_scale, uniform.select(-3, channel))
            colours.append(level_of((v + 1) / 2) * (2 / TOP) - 1)
        return Draw(((torch.stack(colours, -3) + 1) / 2).detach())

    def pixel_log_prob(self, value: Tensor) -> Tensor:
        """log-mass of each pixel, its colours together: (\\*batch, H, W), in nats."""
        level = level_of(value)
        seen: list[Tensor] = []
        total = self.log_weights
        for channel in range(self.channels):
            own = level.select(-3, channel).unsqueeze(-3)
            total = total + log_level_mass(
                own, self._means(channel, seen), self.log_scales.select(-4, channel), fallback=self.fallback
            )
            seen.append(own * (2 / TOP) - 1)
        return torch.logsumexp(total, -3)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.pixel_log_prob(value).sum((-2, -1))

    def detached(self) -> "LogisticMixture":
        return LogisticMixture(
            self.parameters.detach(), channels=self.channels, components=self.components, fallback=self.fallback
        )

"""A Gaussian law of vectors, coordinate after coordinate: p(z) = prod_i N(z_i; mu_i(z_<i), sigma_i^2(z_<i)) (Rosca et al. 2018, App. E.3).

Scoring and drawing both go through the coordinates one by one, as the memory of a recurrent network must.
"""

import torch
from torch import Tensor

from ratelab.core.batch import ModeNoise, Noise
from ratelab.core.law import Abilities, Draw, Law, full_precision, without_autocast
from ratelab.distributions.flows.step import held_fixed
from ratelab.distributions.gaussians import HALF_LOG_2PI
from ratelab.networks.lstm import CoordinateLstm

WIDEST = 7.0  # |log sigma| stays below


class Recurrent(Law):
    """``network`` gives mean and log sigma of every coordinate from those before it; the batch shape is ()."""

    batch_shape = ()
    abilities = Abilities(elementwise=False, parallel_draws=False, parallel_scores=False)

    def __init__(self, network: CoordinateLstm) -> None:
        self.network, self.event_shape = network, (network.size,)

    @staticmethod
    def _split(parameters: Tensor) -> tuple[Tensor, Tensor]:
        loc, raw = full_precision(parameters).unbind(-1)
        return loc, WIDEST * torch.tanh(raw / WIDEST)

    @without_autocast
    def log_prob(self, value: Tensor) -> Tensor:
        value = full_precision(value)
        loc, log_scale = self._split(self.network(value))
        standard = (value - loc) * torch.exp(-log_scale)
        return -(0.5 * standard.square() + log_scale + HALF_LOG_2PI).sum(-1)

    @without_autocast
    def draw(self, noise: Noise, samples: int | None = None) -> Draw:
        normal = noise.normal(self._shape(samples))
        like = self.network.places
        memory, before, found = self.network.start(normal), like.new_zeros(*normal.shape[:-1], 1), []
        for place in range(self.network.size):
            memory, parameters = self.network.step(memory, before, place)
            loc, log_scale = self._split(parameters)
            before = (loc + log_scale.exp() * normal[..., place]).unsqueeze(-1)
            found.append(before)
        return Draw(torch.cat(found, -1))

    @property
    def mean(self) -> Tensor:
        """Each coordinate's mean given the means before it; the mean over all vectors has no closed form."""
        places = self.network.places
        return self.draw(ModeNoise(device=places.device, dtype=places.dtype)).value

    def detached(self) -> "Recurrent":
        return Recurrent(held_fixed(self.network))

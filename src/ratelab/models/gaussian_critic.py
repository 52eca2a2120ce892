"""A critic of two Gaussians whose divergence is known in closed form (Rosca et al. 2018, App. D, setting 1)."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ratelab.core.batch import Batch, Noise
from ratelab.core.critic import KnownCritic, Pairs
from ratelab.core.dataset import Dataset
from ratelab.core.errors import UserError
from ratelab.data.gaussian_pair import PairOfGaussians
from ratelab.exact.gaussians import kl_full
from ratelab.models.critics import Count, StirredCritic
from ratelab.networks.discriminator import Discriminator


class GaussianCritic(KnownCritic, StirredCritic):
    """Tells draws of P_1 (label 1) from draws of P_2, both drawn anew in every step; ``layers`` of ``width`` with leaky ReLU.

    Full size at 1000 dimensions: four layers of 5600 units, 99.7 million weights.
    """

    weights: Tensor
    shifts: Tensor

    def __init__(
        self,
        dataset: Dataset,
        *,
        layers: Count = 4,
        width: Count = 512,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        noise: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0,
    ) -> None:
        super().__init__()
        if not isinstance(dataset, PairOfGaussians) or dataset.laws is None:
            raise UserError(
                f"model 'gaussian-critic' tells two Gaussians apart, and '{dataset.name}' is no pair of them; use data 'gaussian-pair'"
            )
        self.event_shape, self.dropout, self.noise = dataset.event_shape, dropout, noise
        laws = dataset.laws
        self.register_buffer("weights", torch.stack([torch.as_tensor(law.weight).float() for law in laws]), persistent=False)
        self.register_buffer("shifts", torch.stack([torch.as_tensor(law.shift).float() for law in laws]), persistent=False)
        self.discriminator = Discriminator(self.event_shape, layers=layers, width=width)

    def what(self) -> str:
        return "model 'gaussian-critic'"

    def meet(self, batch: Batch, noise: Noise) -> Pairs:
        k = self.weights.shape[2]
        drawn = [
            noise.normal((batch.size, k)) @ weight.T + shift for weight, shift in zip(self.weights, self.shifts, strict=True)
        ]
        return Pairs(drawn[0], drawn[1])

    @property
    def divergence(self) -> float:
        weights, shifts = self.weights.double(), self.shifts.double()
        spread = weights @ weights.mT
        return float(kl_full(shifts[1], spread[1], shifts[0], spread[0]))

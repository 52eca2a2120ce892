"""Categorical latents with a relaxed gradient (Kingma and Welling 2019, section 2.9.1; Jang et al. 2017; Maddison et al. 2017)."""

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ratelab.core.errors import UserError
from ratelab.core.model import Paced
from ratelab.core.schedule import Cooling
from ratelab.distributions.one_hot import OneHot, groups_of
from ratelab.encoders.trunk import Network, Trunk
from ratelab.networks.layers import size_of
from ratelab.networks.mlp import Widths


class CategoricalEncoder(Trunk, Paced):
    """Groups of ``states`` one-hot latents each; goes with the marginal 'categorical' of as many states.

    ``gradient``: ``relaxed`` (Gumbel-softmax draws while training) or ``straight-through`` (one-hot draws with the relaxed
    gradient), at ``temperature``. Evaluation draws are one-hot always, and the rate in closed form is the categorical one. ``cooling``:
    the temperature falls as e^(-cooling epoch), to ``coolest`` at the lowest.
    """

    temperature: Tensor

    def __init__(
        self,
        event_shape: tuple[int, ...],
        latent_shape: tuple[int, ...],
        above: int = 0,
        module: nn.Module | None = None,
        *,
        network: Network = "mlp",
        rescale: bool = False,
        joint: Widths = (128,),
        states: Annotated[int, Field(ge=2)] = 8,
        gradient: Literal["relaxed", "straight-through"] = "relaxed",
        temperature: Annotated[float, Field(gt=0)] = 0.67,
        cooling: Annotated[float, Field(ge=0)] = 0.0,
        coolest: Annotated[float, Field(gt=0)] = 0.4,
    ) -> None:
        super().__init__(event_shape, above, module, network, rescale, joint)
        self.groups, self.states = groups_of(size_of(latent_shape), states, "model.encoder"), states
        if cooling and coolest >= temperature:
            raise UserError(
                f"model.encoder.coolest: {coolest:g} is no less than the temperature {temperature:g} that falls to it"
            )
        self.gradient = gradient
        self.cooling = Cooling(temperature, cooling, coolest if cooling else temperature)
        self.register_buffer("temperature", torch.tensor(temperature), persistent=False)
        self.out = nn.Linear(self.width, size_of(latent_shape))

    def pace(self, epoch: float) -> None:
        self.temperature.fill_(self.cooling(epoch, math.inf))

    def forward(self, x: Tensor, above: tuple[Tensor, ...] = ()) -> OneHot:
        """e(z | x, above) over (B,) or (K, B)."""
        logits = self.out(self.features(x, above)).unflatten(-1, (self.groups, self.states))
        return OneHot(logits, sampling=self.gradient if self.training else "hard", temperature=self.temperature)

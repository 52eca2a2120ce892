"""The marginal of one-hot latents: uniform, or learned probabilities for each group (Kingma and Welling 2019, section 2.9.1)."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ratelab.core.dataset import Dataset
from ratelab.core.law import Law
from ratelab.distributions.one_hot import OneHot, groups_of
from ratelab.marginals.marginal import Encode, Marginal
from ratelab.networks.layers import size_of


class CategoricalMarginal(Marginal):
    """Independent groups of ``states`` one-hot latents each, uniform unless ``learned``; for the encoder 'categorical'."""

    logits: Tensor

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        dataset: Dataset | None = None,
        *,
        states: Annotated[int, Field(ge=2)] = 8,
        learned: bool = False,
    ) -> None:
        super().__init__()
        groups = groups_of(size_of(latent_shape), states, "model.marginal")
        self.states = states
        logits = torch.zeros(groups, states)
        if learned:
            self.logits = nn.Parameter(logits)
        else:
            self.register_buffer("logits", logits, persistent=False)

    def forward(self, encode: Encode | None = None, beside: Law | None = None) -> OneHot:
        return OneHot(self.logits)

"""The toy model of Alemi et al. 2018 (section 4 and App. E): 30 codes, softmax tables with two numbers per state.

e(z_i|x_j) ~ exp(-(w_i x_j - b_i)^2) over i, with scalar coordinates for states and codes. The paper prints the decoder with numbers
indexed by the code, d(x_j|z_i) ~ exp(-(w_i x_j - b_i)^2): one peak per code, which cannot ignore z on data of two peaks. Indexed by
the output, as the encoder is by its own, d(x_j|z_i) ~ exp(-(w_j z_i - b_j)^2), the family contains both limits and shows the collapse.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ratelab.core.dataset import Dataset
from ratelab.core.model import Group
from ratelab.models.tables import FiniteModel, check_states


class ToyModel(FiniteModel):
    """Tables e(z|x), d(x|z) of two numbers per code or output and a free m(z). An example is the index of its bin, event shape ().

    ``decoder_index``: whose numbers the decoder has, each ``output``'s or, as printed, each ``latent``'s. ``x_end``, ``z_end``: the
    coordinates run from 0 to these. ``init``: standard deviation of the first weights; the marginal begins uniform.
    """

    x_grid: Tensor
    z_grid: Tensor

    def __init__(
        self,
        dataset: Dataset,
        *,
        states: Annotated[int, Field(ge=2)] = 30,
        latent_states: Annotated[int, Field(ge=2)] = 30,
        decoder_index: Literal["output", "latent"] = "output",
        x_end: Annotated[float, Field(gt=0)] = 1.0,
        z_end: Annotated[float, Field(gt=0)] = 2.0,
        init: Annotated[float, Field(ge=0)] = 0.01,
    ) -> None:
        super().__init__()
        check_states(dataset, "toy")
        self.decoder_index = decoder_index
        self.register_buffer("x_grid", torch.linspace(0, x_end, states), persistent=False)
        self.register_buffer("z_grid", torch.linspace(0, z_end, latent_states), persistent=False)
        owners = states if decoder_index == "output" else latent_states
        self.encoder_curve = nn.Parameter(init * torch.randn(2, latent_states))
        self.decoder_curve = nn.Parameter(init * torch.randn(2, owners))
        self.marginal_logits = nn.Parameter(torch.zeros(latent_states))

    @property
    def encoder_table(self) -> Tensor:
        return curve(self.encoder_curve, self.x_grid)

    @property
    def decoder_table(self) -> Tensor:
        if self.decoder_index == "output":
            return curve(self.decoder_curve, self.z_grid)
        return curve(self.decoder_curve, self.x_grid).mT

    @property
    def marginal_table(self) -> Tensor:
        return self.marginal_logits

    def group(self, which: Group) -> Iterator[nn.Parameter]:
        return iter((self.encoder_curve,) if which == "inference" else (self.decoder_curve, self.marginal_logits))


def curve(numbers: Tensor, grid: Tensor) -> Tensor:
    """(2, n) numbers w, b and a grid (m,) -> (m, n) logits -(w_n grid_m - b_n)^2."""
    weight, offset = numbers
    return -(weight * grid.unsqueeze(-1) - offset).square()

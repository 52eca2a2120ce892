"""The logistic marginal, fixed (Crescimanna and Graham 2019, section 3)."""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from ratelab.core.dataset import Dataset
from ratelab.core.law import Law
from ratelab.distributions.logistic import UNIT_VARIANCE, Logistic
from ratelab.marginals.marginal import Encode, Marginal


class LogisticMarginal(Marginal):
    """Independent logistic latents. ``scale``: s, or ``unit-variance``, sqrt(3)/pi.

    The paper calls its logistic prior one of less entropy than the normal, which holds at equal variance only.
    """

    loc: Tensor
    scale: Tensor

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        dataset: Dataset | None = None,
        *,
        scale: Annotated[float, Field(gt=0)] | Literal["unit-variance"] = "unit-variance",
    ) -> None:
        super().__init__()
        self.register_buffer("loc", torch.zeros(latent_shape), persistent=False)
        self.register_buffer("scale", torch.tensor(UNIT_VARIANCE if scale == "unit-variance" else scale), persistent=False)

    def forward(self, encode: Encode | None = None, beside: Law | None = None) -> Logistic:
        return Logistic(self.loc, self.scale, event_axes=self.loc.ndim)

"""The VampPrior with learned weights: m(z) = sum_i w_i e(z|phi_i) over learned pseudo-inputs phi_i (Alemi et al. 2018, App. F;
Tomczak and Welling 2018).

With all of the data as pseudo-inputs and equal weights it is the aggregate posterior, the marginal of the tightest rate. Behind a flow
that does not depend on x the flow is common to all components: m(z) is then the mixture of the bases carried by that same
flow, and where z was just drawn nothing is inverted.
"""

from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from ratelab.core.dataset import Dataset, Support
from ratelab.core.errors import UserError
from ratelab.core.law import Law
from ratelab.distributions.flowed import Flowed
from ratelab.distributions.mixtures import mixture
from ratelab.marginals.marginal import Encode, Marginal

SPREAD = 0.01


class VampPrior(Marginal):
    """A mixture of the encoder's laws at ``pseudo_inputs`` learned examples, kept in [0, 1] unless the data is real-valued.

    ``init``: ``data`` (training examples, evenly spaced, plus N(0, 0.01^2)) or ``noise`` (N(0.05, 0.01^2)). ``weighted``: learned
    weights (Alemi et al.) or equal ones (Tomczak and Welling). The pseudo-inputs are encoded once per call.
    """

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        dataset: Dataset,
        *,
        pseudo_inputs: Annotated[int, Field(ge=1)] = 500,
        init: Literal["data", "noise"] = "data",
        weighted: bool = True,
    ) -> None:
        super().__init__()
        self.bounded = dataset.support is not Support.REAL
        self.inputs = nn.Parameter(starting_points(dataset, pseudo_inputs, init))
        logits = torch.zeros(pseudo_inputs)
        if weighted:
            self.logits = nn.Parameter(logits)
        else:
            self.register_buffer("logits", logits, persistent=False)

    @property
    def pseudo_inputs(self) -> Tensor:
        """(N, \\*event), in the units of the data."""
        return F.hardtanh(self.inputs, 0.0, 1.0) if self.bounded else self.inputs

    def forward(self, encode: Encode | None = None, beside: Law | None = None) -> Law:
        assert encode is not None, "a VampPrior is called with the encoder it is made of"
        parts = encode(self.pseudo_inputs)
        if isinstance(parts, Flowed) and parts.context is None:
            shared = beside if isinstance(beside, Flowed) else parts
            return shared.carrying(mixture(self.logits, parts.base))
        return mixture(self.logits, parts)


def starting_points(dataset: Dataset, count: int, init: str) -> Tensor:
    """(count, \\*event) pseudo-inputs to start from; :class:`UserError` where there are fewer training examples than that."""
    if init == "noise":
        return 0.05 + SPREAD * torch.randn(count, *dataset.event_shape)
    examples = len(dataset.train)
    if count > examples:
        raise UserError(
            f"model.marginal: {count} pseudo-inputs, but '{dataset.name}' has only {examples} training examples to start them from; "
            f"set model.marginal.pseudo_inputs to {examples} or less, or model.marginal.init=noise"
        )
    rows = np.linspace(0, examples - 1, count).round().astype(int)
    x = torch.as_tensor(dataset.train.x[rows].astype(np.float64) * dataset.scale, dtype=torch.get_default_dtype())
    return x + SPREAD * torch.randn_like(x)

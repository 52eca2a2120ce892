"""Optimisers and their learning-rate schedules.

Normalised gradients: each parameter tensor's gradient is divided by its own L2 norm + 1e-7 before Adam's moments (Yu et al.
2017; the optimiser of Alemi et al. 2018, App. F.4).
"""

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from ratelab.core.schedule import Constant, ConstantThenLinear, Schedule
from ratelab.core.table import Table

Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]


class Adam:
    """Adam, fused. ``constant`` is the share of the training at full ``lr``; after it lr falls linearly to 0 (1: never).

    ``normalise``: normalised gradients. ``clip``: largest norm of a player's whole gradient, or null.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        *,
        lr: Positive = 1e-3,
        betas: tuple[Decay, Decay] = (0.9, 0.999),
        eps: Positive = 1e-8,
        normalise: bool = False,
        clip: Positive | None = None,
        constant: Fraction = 1.0,
    ) -> None:
        self.parameters = list(parameters)
        self.lr, self.normalise, self.clip = lr, normalise, clip
        self.schedule: Schedule = ConstantThenLinear(constant) if constant < 1 else Constant()
        self.inner = torch.optim.Adam(self.parameters, lr=lr, betas=betas, eps=eps, fused=True)

    def at(self, epoch: float, epochs: float) -> float:
        """Set the learning rate for ``epoch`` of ``epochs`` and return it."""
        lr = self.lr * float(self.schedule(epoch, epochs))
        for group in self.inner.param_groups:
            group["lr"] = lr
        return lr

    def step(self) -> None:
        """Apply the gradients that lie in the parameters, and clear them."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        if self.normalise:
            normalise_(gradients)
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.inner.step()
        self.inner.zero_grad(set_to_none=True)


def normalise_(gradients: list[torch.Tensor]) -> None:
    """Divide each tensor by its own L2 norm + 1e-7, in place."""
    norms = torch._foreach_norm(gradients)
    torch._foreach_add_(norms, 1e-7)
    torch._foreach_div_(gradients, norms)


OPTIMISERS = Table("optimiser", {"adam": Adam})

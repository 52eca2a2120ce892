"""Optimisers and their learning-rate schedules.

Normalised gradients: each parameter tensor's gradient is divided by its own L2 norm + 1e-7 before Adam's moments (Yu et al.
2017; the optimiser of Alemi et al. 2018, App. F.4). SGD and Adadelta are those of Xiao and Bamler 2023's classifiers.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from ratelab.core.schedule import Constant, ConstantThenCosine, ConstantThenLinear, PerEpoch, Schedule
from ratelab.core.table import Table

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(gt=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]


class Optimiser:
    """One player's optimiser: an ``inner`` one of torch's, and the ``schedule`` that ``lr`` is multiplied by, epoch by epoch."""

    normalise: bool = False

    def __init__(self, inner: torch.optim.Optimizer, lr: float, schedule: Schedule, clip: float | None) -> None:
        self.inner, self.lr, self.schedule, self.clip = inner, lr, schedule, clip
        self.parameters: list[nn.Parameter] = [p for group in inner.param_groups for p in group["params"]]

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


class Adam(Optimiser):
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
        schedule: Schedule = ConstantThenLinear(constant) if constant < 1 else Constant()
        super().__init__(torch.optim.Adam(list(parameters), lr=lr, betas=betas, eps=eps, fused=True), lr, schedule, clip)
        self.normalise = normalise


class Sgd(Optimiser):
    """Stochastic gradient descent with ``momentum``; ``weight_decay`` adds that much of each weight to its gradient.

    ``constant`` is the share of the training at full ``lr``; after it lr falls to 0 as ``fall`` says (1: never).
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        *,
        lr: Positive = 1e-2,
        momentum: Decay = 0.9,
        weight_decay: NotNegative = 0.0,
        clip: Positive | None = None,
        constant: Fraction = 1.0,
        fall: Literal["linear", "cosine"] = "cosine",
    ) -> None:
        falling: Schedule = ConstantThenCosine(constant) if fall == "cosine" else ConstantThenLinear(constant)
        schedule = falling if constant < 1 else Constant()
        inner = torch.optim.SGD(list(parameters), lr=lr, momentum=momentum, weight_decay=weight_decay, fused=True)
        super().__init__(inner, lr, schedule, clip)


class Adadelta(Optimiser):
    """Adadelta (Zeiler 2012), whose steps have the size of recent ones; ``decay``: what ``lr`` is multiplied by after each epoch."""

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        *,
        lr: Positive = 1.0,
        rho: Decay = 0.9,
        eps: Positive = 1e-6,
        clip: Positive | None = None,
        decay: Factor = 1.0,
    ) -> None:
        inner = torch.optim.Adadelta(list(parameters), lr=lr, rho=rho, eps=eps, foreach=True)
        super().__init__(inner, lr, PerEpoch(decay) if decay < 1 else Constant(), clip)


def normalise_(gradients: list[torch.Tensor]) -> None:
    """Divide each tensor by its own L2 norm + 1e-7, in place."""
    norms = torch._foreach_norm(gradients)
    torch._foreach_add_(norms, 1e-7)
    torch._foreach_div_(gradients, norms)


OPTIMISERS = Table("optimiser", {"adam": Adam, "sgd": Sgd, "adadelta": Adadelta})

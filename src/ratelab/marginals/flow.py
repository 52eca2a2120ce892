"""Marginals through a flow: e = f(z) ~ N(0, I), log m(z) = log N(f(z); 0, I) + log |det f'(z)|.

The flow runs from latents to noise, so that scoring is parallel. With autoregressive steps this is a masked autoregressive
flow (Papamakarios et al. 2017), whose sampling is sequential; four mean-only steps are the "+" marginal of Alemi et al. 2018, App. F.
"""

from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ratelab.core.dataset import Dataset
from ratelab.core.law import Law
from ratelab.core.table import Node
from ratelab.distributions.flowed import Flowed
from ratelab.distributions.flows import FLOWS
from ratelab.distributions.flows.autoregressive import Affine, MeanOnly
from ratelab.distributions.flows.coupling import RealNvp
from ratelab.distributions.flows.step import Composed, Inverse, Step
from ratelab.distributions.gaussians import StandardNormal
from ratelab.marginals.marginal import Encode, Marginal
from ratelab.networks.layers import size_of
from ratelab.networks.mlp import Widths

Steps = Annotated[int, Field(ge=1)]


class PushedNormal(Marginal):
    """N(0, I) behind ``steps`` steps, each made by ``make(size)``."""

    zero: Tensor

    def __init__(self, latent_shape: tuple[int, ...], steps: int, make: Callable[[int], Step]) -> None:
        super().__init__()
        self.latent_shape = latent_shape
        self.flow = Inverse(Composed(make(size_of(latent_shape)) for _ in range(steps)))
        self.register_buffer("zero", torch.zeros(()), persistent=False)

    def forward(self, encode: Encode | None = None, beside: Law | None = None) -> Flowed:
        return Flowed(StandardNormal(self.latent_shape, self.zero), self.flow)


class FlowMarginal(PushedNormal):
    """Any flow of the table between the latents and N(0, I): ``flow`` by name or with options, ``steps`` of it."""

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        dataset: Dataset | None = None,
        *,
        flow: Annotated[Node, FLOWS] = "spline",
        steps: Steps = 4,
    ) -> None:
        super().__init__(latent_shape, steps, lambda size: FLOWS.build(flow, size))  # type: ignore[arg-type]


class MafMarginal(PushedNormal):
    """Masked autoregressive flow: ``steps`` MADEs of widths ``hidden``, ``mean-only`` (Alemi et al. 2018) or ``affine``."""

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        dataset: Dataset | None = None,
        *,
        steps: Steps = 4,
        hidden: Widths = (640, 640, 640),
        affine: bool = False,
    ) -> None:
        rule = Affine if affine else MeanOnly
        super().__init__(latent_shape, steps, lambda size: rule(size, hidden=hidden))


class RealNvpMarginal(PushedNormal):
    """Real-NVP: ``steps`` affine couplings through networks of widths ``hidden`` (Dinh et al. 2017)."""

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        dataset: Dataset | None = None,
        *,
        steps: Steps = 6,
        hidden: Widths = (256, 256),
    ) -> None:
        super().__init__(latent_shape, steps, lambda size: RealNvp(size, hidden=hidden))

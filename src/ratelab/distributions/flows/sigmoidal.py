"""Neural autoregressive flow: each coordinate goes through a monotone network of its own (Huang et al. 2018, deep sigmoidal flow)."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from ratelab.distributions.flows.autoregressive import Autoregressive
from ratelab.distributions.flows.planar import IDENTITY
from ratelab.distributions.flows.root import increasing_root
from ratelab.networks.made import Degrees
from ratelab.networks.mlp import Widths


class Sigmoidal(Autoregressive):
    """Neural autoregressive: f(z) = logit(sum_k w_k sigmoid(a_k z + b_k)) with a_k > 0 and weights w_k from the MADE.

    Starts near the identity. The inverse is found by bisection, between the inverses of the ``sigmoids`` single units.
    """

    def __init__(
        self,
        size: int,
        context: int = 0,
        *,
        hidden: Widths = (320, 320),
        sigmoids: Annotated[int, Field(ge=1)] = 8,
        degrees: Degrees = "even",
        seed: int = 0,
    ) -> None:
        self.outputs = 3 * sigmoids
        super().__init__(size, context, hidden=hidden, degrees=degrees, seed=seed)

    @staticmethod
    def _split(parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a, b, w = parameters.chunk(3, -1)
        return F.softplus(a + IDENTITY), b, w.log_softmax(-1)

    @staticmethod
    def rule(z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        a, b, log_w = Sigmoidal._split(parameters)
        inner = a * z.unsqueeze(-1) + b
        log_on, log_off = F.logsigmoid(inner), F.logsigmoid(-inner)
        total_on, total_off = torch.logsumexp(log_w + log_on, -1), torch.logsumexp(log_w + log_off, -1)
        log_density = torch.logsumexp(log_w + a.log() + log_on + log_off, -1)
        return total_on - total_off, log_density - total_on - total_off

    @staticmethod
    def undo(z: Tensor, parameters: Tensor) -> Tensor:
        a, b, _ = Sigmoidal._split(parameters)
        single = (z.unsqueeze(-1) - b) / a
        t = increasing_root(lambda t: Sigmoidal.rule(t, parameters)[0] - z, single.amin(-1), single.amax(-1))
        value, log_slope = Sigmoidal.rule(t, parameters)
        return t - (value - z) * torch.exp(-log_slope)  # a Newton step carries the gradient

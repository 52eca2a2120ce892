"""A diagonal Gaussian pushed through a flow: richer posteriors with a known density at their draws (K19, chapter 3).

With ``flow: iaf-mean`` and the defaults this is the "+" encoder of Alemi et al. 2018, App. F: four mean-only inverse autoregressive
steps, each a MADE of three layers of 640 units, which do not see x. With ``flow: iaf`` and a context it is K19's algorithm 3.
"""

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from ratelab.core.table import Node
from ratelab.distributions.flowed import Flowed
from ratelab.distributions.flows import FLOWS
from ratelab.distributions.flows.step import Composed
from ratelab.distributions.heads import GaussianHead, Spread
from ratelab.encoders.trunk import Network, Trunk
from ratelab.networks.layers import size_of
from ratelab.networks.mlp import Widths


class FlowEncoder(Trunk):
    """Flow on a diagonal Gaussian. ``flow``: one of the flows, by name or with options; ``steps``: how many of them.

    ``context``: how many features of x steer the steps; 0: the steps are the same for every x, which lets a VampPrior share them.
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        latent_shape: tuple[int, ...],
        above: int = 0,
        module: nn.Module | None = None,
        *,
        network: Network = "mlp",
        spread: Spread = "exp",
        rescale: bool = False,
        joint: Widths = (128,),
        flow: Annotated[Node, FLOWS] = "iaf-mean",
        steps: Annotated[int, Field(ge=1)] = 4,
        context: Annotated[int, Field(ge=0)] = 0,
    ) -> None:
        super().__init__(event_shape, above, module, network, rescale, joint)
        self.head = GaussianHead(self.width, latent_shape, spread)
        self.context = nn.Linear(self.width, context) if context else None
        size = size_of(latent_shape)
        self.flow = Composed(FLOWS.build(flow, size, context) for _ in range(steps))  # type: ignore[arg-type]

    def forward(self, x: Tensor, above: tuple[Tensor, ...] = ()) -> Flowed:
        """e(z | x, above) over (B,) or (K, B)."""
        features = self.features(x, above)
        return Flowed(self.head(features), self.flow, None if self.context is None else self.context(features))

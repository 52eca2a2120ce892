"""The deterministic encoder z = f(x): its law is a point and its rate infinite (Rosca et al. 2018; Tolstikhin et al. 2018)."""

from torch import Tensor, nn

from ratelab.distributions.point import Point
from ratelab.encoders.trunk import Network, Trunk
from ratelab.networks.layers import size_of
from ratelab.networks.mlp import Widths


class DeterministicEncoder(Trunk):
    """No noise: one code for each x. The rate is reported as infinite."""

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
    ) -> None:
        super().__init__(event_shape, above, module, network, rescale, joint)
        self.out = nn.Linear(self.width, size_of(latent_shape))

    def forward(self, x: Tensor, above: tuple[Tensor, ...] = ()) -> Point:
        """e(z | x, above) over (B,) or (K, B)."""
        return Point(self.out(self.features(x, above)))

"""The diagonal Gaussian encoder e(z|x) = N(mu(x), diag sigma(x)^2) (Kingma and Welling 2019, eq. 2.36-2.44)."""

from torch import Tensor, nn

from ratelab.distributions.gaussians import DiagonalGaussian
from ratelab.distributions.heads import GaussianHead, Spread
from ratelab.encoders.trunk import Network, Trunk
from ratelab.networks.mlp import Widths


class GaussianEncoder(Trunk):
    """Diagonal Gaussian over the latents, from x and, below the top of a hierarchy, from the layers above.

    ``spread``: how the head writes sigma. ``rescale`` maps [0, 1] pixels to [-1, 1] first (Alemi et al. 2018). ``joint`` are
    the widths of the layers that mix the features of x with the latents above.
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
    ) -> None:
        super().__init__(event_shape, above, module, network, rescale, joint)
        self.head = GaussianHead(self.width, latent_shape, spread)

    def forward(self, x: Tensor, above: tuple[Tensor, ...] = ()) -> DiagonalGaussian:
        """e(z | x, above): x (B, \\*event); each of ``above`` (K, B, \\*event_l) -> a law over (B,) or (K, B)."""
        return self.head(self.features(x, above))

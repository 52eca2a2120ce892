"""The implicit encoder: z = g(x, noise), without a density (Rosca et al. 2018; Mescheder et al. 2017).

Its rate is unknown and reported as such. It needs an objective that compares laws through samples.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ratelab.distributions.point import Implicit
from ratelab.encoders.trunk import Network, Trunk
from ratelab.networks.layers import dense_stack, size_of
from ratelab.networks.mlp import Widths


class ImplicitEncoder(Trunk):
    """Injected noise, no density: features of x and ``noise`` normal draws through ReLU layers of widths ``mixing``."""

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
        noise: Annotated[int, Field(ge=1)] = 16,
        mixing: Widths = (128,),
    ) -> None:
        super().__init__(event_shape, above, module, network, rescale, joint)
        self.latent_shape, self.noise = latent_shape, noise
        widths = (self.width + noise, *mixing)
        self.mix = nn.Sequential(dense_stack(widths, "relu"), nn.Linear(widths[-1], size_of(latent_shape)))

    def forward(self, x: Tensor, above: tuple[Tensor, ...] = ()) -> Implicit:
        """e(z | x, above) over (B,) or (K, B); can be drawn from, not scored."""
        features = self.features(x, above)

        def push(noise: Tensor) -> Tensor:
            return self.mix(torch.cat([features.expand(*noise.shape[:-1], -1), noise], -1))

        return Implicit(push, features, self.latent_shape, self.noise)

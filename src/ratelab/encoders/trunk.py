"""What all encoders share: a network that turns x, and the latents drawn before, into features."""

from typing import Annotated

import torch
from torch import Tensor, nn

from ratelab.core.table import Node
from ratelab.networks import FEATURES
from ratelab.networks.layers import dense_stack, flat
from ratelab.networks.mlp import Widths

Network = Annotated[Node, FEATURES]


class Trunk(nn.Module):
    """The base of every encoder: :meth:`features` of x and of the latents above, ``width`` of them.

    ``event_shape``: one example's shape; ``above``: how many latents lie above. ``rescale`` maps [0, 1] pixels to [-1, 1]
    first (Alemi et al. 2018). ``joint`` are the widths of the layers that mix the features of x with the latents above.
    """

    def __init__(
        self, event_shape: tuple[int, ...], above: int, module: nn.Module | None, network: Node, rescale: bool, joint: Widths
    ) -> None:
        super().__init__()
        self.rescale, self.above = rescale, above
        # A user's own module arrives as a positional argument, because modules do not travel through recipes.
        wiring = (event_shape,) if module is None else (event_shape, module)
        self.network = FEATURES.build(network, *wiring)  # type: ignore[arg-type]
        widths = (self.network.features + above, *joint) if above else (self.network.features,)
        self.joint = dense_stack(widths, "relu")
        self.width = widths[-1]

    def features(self, x: Tensor, above: tuple[Tensor, ...]) -> Tensor:
        """x (B, \\*event); each of ``above`` (K, B, \\*event_l) -> (B, width) or (K, B, width)."""
        features = self.network(2 * x - 1 if self.rescale else x)
        if above:
            flats = [flat(z, tuple(z.shape[2:])) for z in above]
            features = torch.cat([features.expand(*flats[0].shape[:-1], -1), *flats], dim=-1)
        return self.joint(features)


class Rung(Trunk):
    """The features of x alone, as the first step of a bottom-up path."""

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x, ())

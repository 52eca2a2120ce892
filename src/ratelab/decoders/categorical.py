"""The 256-way categorical decoder (Rosca et al. 2018, section 3.2)."""

from typing import Annotated

from torch import Tensor, nn

from ratelab.core.dataset import Support
from ratelab.core.table import Node
from ratelab.decoders.wiring import renderer, several
from ratelab.distributions.levels import LEVELS, CategoricalLevels
from ratelab.networks import RENDERERS


class CategoricalDecoder(nn.Module):
    """d(x|z) = product over values of a softmax over 256 levels; the network gives 256 logits for every value."""

    scores = frozenset({Support.LEVELS})

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        event_shape: tuple[int, ...],
        module: nn.Module | None = None,
        *,
        network: Annotated[Node, RENDERERS] = "mlp",
    ) -> None:
        super().__init__()
        self.axes = len(event_shape)
        self.network = renderer(network, latent_shape, several(LEVELS, event_shape), module)

    def forward(self, z: Tensor) -> CategoricalLevels:
        """z: (\\*lead, \\*latent) -> a law over (\\*lead,)."""
        return CategoricalLevels(self.network(z).unflatten(-self.axes, (LEVELS, -1)), event_axes=self.axes)

"""The Bernoulli decoder for binary data (Kingma and Welling 2019, eq. 1.15-1.18)."""

from typing import Annotated

from torch import Tensor, nn

from ratelab.core.dataset import Support
from ratelab.core.table import Node
from ratelab.distributions.bernoulli import Bernoulli
from ratelab.networks import RENDERERS


class BernoulliDecoder(nn.Module):
    """d(x|z) = product of Bernoulli(sigmoid(logits)).

    ``grey: true`` lets it score grey values in [0, 1], as many papers do; its distortion is then a loss, not a
    log-likelihood, and every number that contains it is marked as no bound.
    """

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        event_shape: tuple[int, ...],
        module: nn.Module | None = None,
        *,
        network: Annotated[Node, RENDERERS] = "mlp",
        grey: bool = False,
    ) -> None:
        super().__init__()
        self.axes, self.grey = len(event_shape), grey
        wiring = (latent_shape, event_shape) if module is None else (latent_shape, event_shape, module)
        self.network = RENDERERS.build(network, *wiring)  # type: ignore[arg-type]

    @property
    def scores(self) -> frozenset[Support]:
        """The supports this decoder can score."""
        grey = {Support.UNIT, Support.LEVELS} if self.grey else set()
        return frozenset({Support.BINARY, *grey})

    def forward(self, z: Tensor) -> Bernoulli:
        """z: (\\*lead, \\*latent) -> a law over (\\*lead,)."""
        return Bernoulli(self.network(z), event_axes=self.axes, normalised=not self.grey)

"""Multi-layer perceptrons, plain and gated (Kingma and Welling 2019; gated units: Alemi et al. 2018, App. F)."""

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from ratelab.networks.layers import Activation, dense_stack, flat, size_of

Widths = tuple[Annotated[int, Field(ge=1)], ...]


class MlpFeatures(nn.Module):
    """Fully connected features of an example of any shape: (\\*lead, \\*event) -> (\\*lead, features)."""

    def __init__(self, event_shape: tuple[int, ...], *, hidden: Widths = (256, 256), activation: Activation = "relu") -> None:
        super().__init__()
        self.event_shape = event_shape
        self.features = (size_of(event_shape), *hidden)[-1]
        self.layers = dense_stack((size_of(event_shape), *hidden), activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(flat(x, self.event_shape))


class MlpRenderer(nn.Module):
    """Fully connected from latents to an output of any shape: (\\*lead, \\*latent) -> (\\*lead, \\*out)."""

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        *,
        hidden: Widths = (256, 256),
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        self.latent_shape, self.out_shape = latent_shape, out_shape
        widths = (size_of(latent_shape), *hidden)
        self.layers = dense_stack(widths, activation)
        self.head = nn.Linear(widths[-1], size_of(out_shape))

    def forward(self, z: Tensor) -> Tensor:
        return self.head(self.layers(flat(z, self.latent_shape))).unflatten(-1, self.out_shape)

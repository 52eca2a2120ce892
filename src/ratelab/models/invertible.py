"""An invertible generative model: x = f(e), e ~ N(0, I), its density by change of variables (Kingma and Welling 2019, section 4.4;
Real-NVP, Dinh et al. 2017; NICE, Dinh et al. 2015).

There is no latent layer to encode: the rate is 0, and the distortion is -log p(x) itself.
"""

from collections.abc import Iterator
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ratelab.core.batch import Batch, Noise
from ratelab.core.dataset import Dataset, Support
from ratelab.core.errors import UserError
from ratelab.core.law import Law
from ratelab.core.model import Group, Model
from ratelab.core.passes import Pass
from ratelab.core.table import Node
from ratelab.distributions.flowed import Flowed
from ratelab.distributions.flows import FLOWS
from ratelab.distributions.flows.step import Composed, Inverse
from ratelab.distributions.gaussians import DiagonalGaussian
from ratelab.models.standardise import Standardise


class Invertible(Model):
    """A flow between real-valued vectors and noise, without latents: ``steps`` of ``flow``, which runs from the data to N(0, I).

    The data is standardised inside; distortions, here -log p(x), are in its own units.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        flow: Annotated[Node, FLOWS] = "real-nvp",
        steps: Annotated[int, Field(ge=1)] = 6,
    ) -> None:
        super().__init__()
        self.event_shape, self.latent_shapes = dataset.event_shape, ()
        if dataset.support is not Support.REAL or len(self.event_shape) != 1:
            raise UserError(
                f"model: 'invertible' is a density of real-valued vectors, but '{dataset.name}' is {dataset.support.value} data of "
                f"shape {self.event_shape}; use model 'vae', with an autoregressive decoder for images"
            )
        size = self.event_shape[0]
        self.flow = Inverse(Composed(FLOWS.build(flow, size) for _ in range(steps)))  # type: ignore[arg-type]
        self.standardise = Standardise(dataset)

    def law(self, *lead: int) -> Law:
        """p(x) over batch axes ``lead``."""
        zeros = torch.zeros_like(self.standardise.shift).expand(*lead, *self.event_shape)
        return self.standardise.law(Flowed(DiagonalGaussian(zeros, scale=torch.ones_like(zeros)), self.flow))

    def forward(self, batch: Batch, noise: Noise, samples: int = 1, path: bool = True) -> Pass:
        return Pass(batch, batch.x, (), self.law(samples, batch.size))

    def generate(self, n: int, noise: Noise) -> Pass:
        law = self.law(1, n)
        x = law.draw(noise).value[0]
        return Pass(Batch(x), x, (), law, origin="model")

    def log_joint(self, x: Tensor, z: tuple[Tensor, ...]) -> Tensor:
        return self.law(1, x.shape[0]).log_prob(x)

    def decode(self, z: tuple[Tensor, ...]) -> Tensor:
        return self.law().mean

    def group(self, which: Group) -> Iterator[nn.Parameter]:
        return self.parameters() if which == "generative" else iter(())

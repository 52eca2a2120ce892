"""A mixture of Gaussians as a latent-variable model: z names the component, x|z is Gaussian (K19, eq. 1.13-1.14, section 1.8).

The posterior is known by Bayes' rule, p(z|x) = p(z) p(x|z) / p(x), so e(z|x) is set to it (the E-step of EM) and D + R = -log p(x):
a step of any optimiser on D + R is a generalised M-step.
"""

import math
from collections.abc import Iterator
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from ratelab.core.batch import Batch, Noise
from ratelab.core.dataset import Dataset, Support
from ratelab.core.model import Group, Model
from ratelab.core.passes import Layer, Pass
from ratelab.core.reference import K19, Reference
from ratelab.decoders.gaussian import LOG_SIGMA_FLOOR
from ratelab.distributions.categorical import Categorical
from ratelab.distributions.gaussians import DiagonalGaussian
from ratelab.models.check import check_likelihood


class GaussianMixture(Model):
    """``components`` diagonal Gaussians with learned weights, means and scales; passes sum over all components exactly.

    Means begin at rows of the training data, scales at the data's own spread.
    """

    latent_shapes = ((),)
    references = (Reference(K19, "eq. 1.13-1.14, section 1.8"),)
    scores = frozenset({Support.REAL, Support.UNIT, Support.LEVELS})

    def __init__(self, dataset: Dataset, *, components: Annotated[int, Field(ge=1)] = 10) -> None:
        super().__init__()
        self.event_shape = dataset.event_shape
        check_likelihood(self, "gaussian-mixture", dataset, standardise=False)
        rows = torch.as_tensor(dataset.train.x).float() * dataset.scale
        picked = torch.randint(len(rows), (components,))
        spread = (rows - rows.mean(0)).square().mean().sqrt().clamp(min=math.exp(LOG_SIGMA_FLOOR))
        self.logits = nn.Parameter(torch.zeros(components))
        self.means = nn.Parameter(rows[picked].clone())
        self.raw = nn.Parameter(torch.full_like(self.means, float(spread.log())))

    def component(self, z: Tensor) -> DiagonalGaussian:
        """d(x|z) for component indices z (\\*lead)."""
        log_scale = LOG_SIGMA_FLOOR + F.softplus(self.raw - LOG_SIGMA_FLOOR)
        index = z.long()
        return DiagonalGaussian(self.means[index], log_scale=log_scale[index], event_axes=len(self.event_shape))

    def posterior(self, x: Tensor) -> Categorical:
        """p(z|x) for x (B, \\*event), by Bayes' rule and held fixed."""
        return Categorical(self.log_joint(x, (self._codes(len(x)),)).mT.detach())

    def _codes(self, batch: int) -> Tensor:
        codes = torch.arange(len(self.logits), dtype=self.logits.dtype, device=self.logits.device)
        return codes.unsqueeze(-1).expand(-1, batch)

    def forward(self, batch: Batch, noise: Noise, samples: int = 1, path: bool = True) -> Pass:
        """Every component once, weighted by p(z|x): ``samples`` and ``noise`` have no part in an exact sum."""
        encoder, codes = self.posterior(batch.x), self._codes(batch.size)
        layer = Layer(codes, encoder, Categorical(self.logits), scored=encoder.log_probs.mT)
        return Pass(batch, batch.x, (layer,), self.component(codes[:, :1]), weights=layer.log_encoder.exp())

    def generate(self, n: int, noise: Noise) -> Pass:
        marginal = Categorical(self.logits)
        z = marginal.draw(noise, n).value.unsqueeze(0)
        decoder = self.component(z)
        x = decoder.draw(noise).value[0]
        return Pass(Batch(x), x, (Layer(z, self.posterior(x), marginal),), decoder, origin="model")

    def log_joint(self, x: Tensor, z: tuple[Tensor, ...]) -> Tensor:
        return self.component(z[0]).log_prob(x) + Categorical(self.logits).log_prob(z[0])

    def decode(self, z: tuple[Tensor, ...]) -> Tensor:
        return self.component(z[0]).mean

    def group(self, which: Group) -> Iterator[nn.Parameter]:
        return iter(()) if which == "inference" else self.parameters()

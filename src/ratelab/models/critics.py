"""Critics of a trained model: of its codes against its marginal, and of data against its draws (Rosca et al. 2018, Alg. 3 and App. I)."""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ratelab.core.batch import Batch, Noise
from ratelab.core.codes import Codes
from ratelab.core.critic import Critic, Pairs
from ratelab.core.dataset import Dataset
from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.core.passes import Pass
from ratelab.core.table import Node
from ratelab.distributions.bernoulli import Bernoulli
from ratelab.models.subject import LayerNumber, Learner, Subject, code_shape
from ratelab.networks import FEATURES
from ratelab.networks.discriminator import Discriminator

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Spread = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class PairCritic(Critic, Learner):
    """A critic whose pass scores the two labels of each pair."""

    target: Literal["x", "y", "z"] = "y"

    def forward(self, batch: Batch, noise: Noise, samples: int = 1, path: bool = True) -> Pass:
        return self.judge(batch, self.meet(batch, noise), noise)

    def judge(self, batch: Batch, pairs: Pairs, noise: Noise) -> Pass:
        stirred = noise if self.training else None
        logits = torch.stack([self.score(pairs.first, stirred), self.score(pairs.second, stirred)], -1)
        labels = torch.zeros_like(logits)
        labels[:, 0] = 1
        return Pass(batch, labels, (), Bernoulli(logits.unsqueeze(0)))


class StirredCritic(PairCritic):
    """A critic that is a :class:`Discriminator`, disturbed in training by dropout and by noise on its activations."""

    discriminator: Discriminator
    dropout: float
    noise: float

    def score(self, value: Tensor, noise: Noise | None = None) -> Tensor:
        if noise is None or not (self.dropout or self.noise):
            return self.discriminator(value)
        return self.discriminator(value, lambda activations: self._stir(activations, noise))

    def _stir(self, activations: Tensor, noise: Noise) -> Tensor:
        if self.noise:
            activations = activations + self.noise * noise.normal(activations.shape)
        if self.dropout:
            kept = noise.uniform(activations.shape) >= self.dropout
            activations = activations * kept.to(activations.dtype) / (1 - self.dropout)
        return activations


class CodeCritic(StirredCritic):
    """Tells codes z ~ q(z) of the run ``of`` from draws of its m(z), both drawn anew in every step.

    ``layers`` of ``width`` units with leaky ReLU 0.2; ``dropout``: the share of activations that are left out in training, ``noise``:
    the standard deviation of Gaussian noise on them. ``layer``: codes of all layers down to that one together, or of that one ``alone``.
    """

    def __init__(
        self,
        dataset: Dataset,
        subject: Model,
        *,
        of: str,
        layers: Count = 3,
        width: Count = 512,
        dropout: Share = 0.0,
        noise: Spread = 0.0,
        layer: LayerNumber | None = None,
        alone: bool = False,
    ) -> None:
        super().__init__()
        self.event_shape = dataset.event_shape
        self.subject, self.codes, self.dropout, self.noise = Subject(subject), Codes(layer, alone), dropout, noise
        self.discriminator = Discriminator(code_shape(subject, self.codes, "model 'code-critic'"), layers=layers, width=width)

    def what(self) -> str:
        return "model 'code-critic'"

    def meet(self, batch: Batch, noise: Noise) -> Pairs:
        return Pairs(*self.subject.codes_and_draws(self.codes, batch, noise))


class SampleCritic(PairCritic):
    """Tells examples from draws of the run ``of``; it learns from the validation split, which the run did not learn from.

    ``network``: features before a linear head, without batch normalisation: its penalty is of single examples.
    """

    learns_from = "validation"

    def __init__(self, dataset: Dataset, subject: Model, *, of: str, network: Annotated[Node, FEATURES] = "mlp") -> None:
        super().__init__()
        self.event_shape = dataset.event_shape
        self.subject = Subject(subject)
        self.network: nn.Module = FEATURES.build(network, self.event_shape)  # type: ignore[arg-type]
        if any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in self.network.modules()):
            raise UserError(
                "model 'sample-critic': the gradient penalty is of single examples, which batch normalisation mixes; set norm: none"
            )
        self.head = nn.Linear(self.network.features, 1)

    def what(self) -> str:
        return "model 'sample-critic'"

    def meet(self, batch: Batch, noise: Noise) -> Pairs:
        return Pairs(batch.x, self.subject.drawn(batch.size, noise))

    def score(self, value: Tensor, noise: Noise | None = None) -> Tensor:
        out: Tensor = self.head(self.network(value))
        return out.squeeze(-1)

"""A model of finite tables: x and z take finitely many values, and a pass enumerates every z (Alemi et al. 2018, App. E).

Its passes are exact sums, so it is where the definitions meet: what a pass reports equals what :mod:`ratelab.exact` computes.
"""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ratelab.core.batch import Batch, Noise
from ratelab.core.dataset import Dataset, Support
from ratelab.core.errors import UserError
from ratelab.core.model import Group, Model
from ratelab.core.passes import Layer, Pass
from ratelab.distributions.categorical import Categorical
from ratelab.exact.tables import FiniteTables


class FiniteModel(Model):
    """x and z take finitely many values; a subclass gives the three tables as logits. An example is its state's index, shape ()."""

    event_shape, latent_shapes = (), ((),)

    @property
    @abstractmethod
    def encoder_table(self) -> Tensor:
        """(X, Z): row x holds the logits of e(.|x)."""

    @property
    @abstractmethod
    def decoder_table(self) -> Tensor:
        """(Z, X): row z holds the logits of d(.|z)."""

    @property
    @abstractmethod
    def marginal_table(self) -> Tensor:
        """(Z,): the logits of m."""

    @torch.no_grad()
    def tables(self, law: Tensor) -> FiniteTables:
        """The model as tables of probabilities beside p\\*(x) = ``law``, (X,): what it is worth, by exact sums."""
        logits = (self.encoder_table, self.decoder_table, self.marginal_table)
        return FiniteTables(law, *(table.double().cpu().softmax(-1) for table in logits))

    def forward(self, batch: Batch, noise: Noise, samples: int = 1, path: bool = True) -> Pass:
        """Every z once, weighted by e(z|x): ``samples`` and ``noise`` have no part in an exact sum."""
        encoder, marginal = Categorical(self.encoder_table.index_select(0, batch.x.long())), Categorical(self.marginal_table)
        count = marginal.log_probs.shape[-1]
        codes = torch.arange(count, dtype=encoder.log_probs.dtype, device=batch.x.device).unsqueeze(-1)
        layer = Layer(codes.expand(count, batch.size), encoder, marginal, scored=encoder.log_probs.mT)
        # One law per code, not one per code and example: the batch may hold the same state many times.
        return Pass(batch, batch.x, (layer,), self._decoder(codes), weights=layer.log_encoder.exp())

    def _decoder(self, z: Tensor) -> Categorical:
        return Categorical(self.decoder_table[z.long()])

    def generate(self, n: int, noise: Noise) -> Pass:
        marginal = Categorical(self.marginal_table)
        z = marginal.draw(noise, n).value.unsqueeze(0)
        decoder = self._decoder(z)
        x = decoder.draw(noise).value[0]
        encoder = Categorical(self.encoder_table[x.long()])
        return Pass(Batch(x), x, (Layer(z, encoder, marginal),), decoder, origin="model")

    def log_joint(self, x: Tensor, z: tuple[Tensor, ...]) -> Tensor:
        return self._decoder(z[0]).log_prob(x) + Categorical(self.marginal_table).log_prob(z[0])

    def decode(self, z: tuple[Tensor, ...]) -> Tensor:
        return self._decoder(z[0]).mean


def check_states(dataset: Dataset, model: str) -> None:
    """:class:`UserError` where an example is not the index of a state."""
    if dataset.support is not Support.REAL or dataset.event_shape != ():
        raise UserError(
            f"model '{model}' takes one state's index per example, not '{dataset.name}' of shape {dataset.event_shape}"
        )


class TableModel(FiniteModel):
    """Free tables e(z|x), d(x|z), m(z) as logits. An example is the index of its state, event shape ().

    ``states``: how many values x takes; ``latent_states``: how many z takes.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        states: Annotated[int, Field(ge=2)] = 30,
        latent_states: Annotated[int, Field(ge=1)] = 30,
        init: Annotated[float, Field(ge=0)] = 0.1,
    ) -> None:
        super().__init__()
        check_states(dataset, "tables")
        self.encoder_logits = nn.Parameter(init * torch.randn(states, latent_states))
        self.decoder_logits = nn.Parameter(init * torch.randn(latent_states, states))
        self.marginal_logits = nn.Parameter(init * torch.randn(latent_states))

    @property
    def encoder_table(self) -> Tensor:
        return self.encoder_logits

    @property
    def decoder_table(self) -> Tensor:
        return self.decoder_logits

    @property
    def marginal_table(self) -> Tensor:
        return self.marginal_logits

    def group(self, which: Group) -> Iterator[nn.Parameter]:
        return iter((self.encoder_logits,) if which == "inference" else (self.decoder_logits, self.marginal_logits))

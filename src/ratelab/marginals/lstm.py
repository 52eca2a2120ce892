"""An autoregressive marginal, m(z) = prod_i N(z_i; mu_i(z_<i), sigma_i^2(z_<i)), its parameters by an LSTM (R18, App. E.3)."""

from typing import Annotated

from pydantic import Field

from ratelab.core.dataset import Dataset
from ratelab.core.law import Law
from ratelab.distributions.recurrent import Recurrent
from ratelab.marginals.marginal import Encode, Marginal
from ratelab.networks.layers import size_of
from ratelab.networks.lstm import CoordinateLstm


class LstmMarginal(Marginal):
    """Coordinate after coordinate through one LSTM layer of ``hidden`` units; starts as N(0, I). Scoring takes one step for each."""

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        dataset: Dataset | None = None,
        *,
        hidden: Annotated[int, Field(ge=1)] = 128,
    ) -> None:
        super().__init__()
        self.network = CoordinateLstm(size_of(latent_shape), hidden)

    def forward(self, encode: Encode | None = None, beside: Law | None = None) -> Recurrent:
        return Recurrent(self.network)

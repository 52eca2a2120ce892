"""Wiring mistakes that are found before training starts: a likelihood that cannot score the data, a list of the wrong length."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from torch import nn

from ratelab.core.dataset import Dataset, Support
from ratelab.core.errors import UserError
from ratelab.core.table import Node
from ratelab.encoders.categorical import CategoricalEncoder
from ratelab.encoders.deterministic import DeterministicEncoder
from ratelab.encoders.implicit import ImplicitEncoder
from ratelab.marginals.categorical import CategoricalMarginal
from ratelab.marginals.diagonal import DiagonalMarginal
from ratelab.marginals.normal import NormalMarginal
from ratelab.marginals.vamp import VampPrior

GREY = "binarise the data, or set 'grey: true' of 'bernoulli' (a loss then, no likelihood)"
ADVICE = {
    Support.BINARY: "use 'bernoulli' or 'pixelcnn++'",
    Support.UNIT: f"use 'gaussian', {GREY}",
    Support.LEVELS: "use 'discretised-logistic' or 'gaussian', 'pixels: logistic-mixture' of an autoregressive decoder, "
    f"another likelihood of 256 levels ('ratelab list decoders'), {GREY}",
    Support.REAL: "use 'gaussian'",
}


class Scores(Protocol):
    """Anything that declares which supports it can score."""

    @property
    def scores(self) -> frozenset[Support]: ...


def check_likelihood(decoder: Scores, node: Node, dataset: Dataset, standardise: bool) -> None:
    """:class:`UserError` where the decoder cannot score the data set's values, standardised or not; says which can."""
    support = Support.REAL if standardise else dataset.support
    if support not in decoder.scores:
        name: Any = node["name"] if isinstance(node, Mapping) else node
        able = ", ".join(sorted(s.value for s in decoder.scores))
        raise UserError(
            f"model.decoder: '{name}' scores {able} data, but '{dataset.name}' is {support.value}"
            f"{' once standardised' if standardise else ''}; {ADVICE[support]}"
        )


def check_latents(encoder: nn.Module, marginal: nn.Module, below: Iterable[nn.Module] = ()) -> None:
    """:class:`UserError` where the marginal cannot score what the encoder draws, or is made of a density that is missing.

    ``below``: the encoders of the layers under this one, whose marginals are Gaussian.
    """
    one_hot, categorical = isinstance(encoder, CategoricalEncoder), isinstance(marginal, CategoricalMarginal)
    if any(isinstance(lower, CategoricalEncoder) for lower in below):
        raise UserError("model.encoder: 'categorical' latents are those of the top layer alone, the lower ones are Gaussian")
    if one_hot != categorical and not (one_hot and isinstance(marginal, VampPrior)):
        raise UserError(
            "model.marginal: the encoder 'categorical' goes with the marginal 'categorical'; use it"
            if one_hot
            else "model.marginal: 'categorical' scores one-hot latents, which the encoder does not draw; use encoder 'categorical'"
        )
    if isinstance(encoder, CategoricalEncoder) and isinstance(marginal, CategoricalMarginal):
        check_states(encoder.states, marginal.states)
    if isinstance(marginal, VampPrior) and isinstance(encoder, (ImplicitEncoder, DeterministicEncoder)):
        raise UserError(
            "model.marginal: 'vamp' is a mixture of the encoder's densities, and this encoder has none; use 'normal'"
        )


def check_states(encoder: int, marginal: int) -> None:
    """:class:`UserError` where the one-hot groups of encoder and marginal are of different sizes."""
    if encoder != marginal:
        raise UserError(f"model.marginal: {marginal} states where the encoder has {encoder}; make them the same")


def check_no_vamp(marginal: nn.Module, model: str) -> None:
    """:class:`UserError` for a VampPrior where the density of the encoder, which it is made of, is an integral."""
    if isinstance(marginal, VampPrior):
        raise UserError(f"model.marginal: 'vamp' needs the encoder's density, an integral in model '{model}'; use 'mixture'")


def check_merges(marginal: nn.Module) -> None:
    """:class:`UserError` where the top layer's marginal is no diagonal Gaussian, with which alone an encoder can be merged."""
    if not isinstance(marginal, (NormalMarginal, DiagonalMarginal)):
        raise UserError(
            "model.marginal: a coupled top layer merges with a diagonal Gaussian; use 'normal' or 'diagonal', or inference: ladder"
        )


def check_moves(encoder: nn.Module, model: str) -> None:
    """:class:`UserError` for one-hot latents where the model moves latents continuously."""
    if isinstance(encoder, CategoricalEncoder):
        raise UserError(
            f"model.encoder: model '{model}' moves latents continuously; 'categorical' cannot be moved, use 'gaussian'"
        )

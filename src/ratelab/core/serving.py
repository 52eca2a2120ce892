"""What a model must offer for an objective to serve it: found by a trial pass, said before training starts."""

import math

from torch import Tensor

from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.core.target import check_rate, trial


def check_prices(model: Model, objective: str, prices: Tensor) -> None:
    """:class:`UserError` where a price above 0 is put on a rate that is infinite or unknown, or prices and rates do not match.

    ``prices``: one number, or one per layer. A price of 0 serves every model: the rate is left out.
    """
    if bool((prices > 0).any()):
        rows = prices.numel() if prices.ndim else 1
        check_rate(model, objective, rows, verb="prices", what="prices")


def check_drawn(model: Model, objective: str) -> None:
    """:class:`UserError` for a model whose passes are exact sums over its latents: there are no draws to work with."""
    if trial(model).weights is not None:
        raise UserError(
            f"objective '{objective}' works with draws of the latents, but this model sums over all of them exactly; use 'beta'"
        )


def check_real_codes(model: Model, objective: str) -> None:
    """:class:`UserError` where the top layer's codes are no real-valued vectors through which a gradient reaches the encoder."""
    seen = trial(model)
    if not seen.layers:
        raise UserError(f"objective '{objective}' matches the codes of a model to its marginal, and this model has no latents")
    if math.isfinite(seen.top.marginal.capacity):
        raise UserError(f"objective '{objective}' matches real-valued codes, and this model's are discrete; use 'beta'")


def check_laws(model: Model, objective: str) -> None:
    """:class:`UserError` where a layer was not drawn from a law of its own (an integral, a map of other draws)."""
    if any(layer.encoder is None for layer in trial(model).layers):
        raise UserError(
            f"objective '{objective}' needs the law that each layer was drawn from, and this model's layers have none; use 'beta'"
        )


def check_one_layer(model: Model, objective: str, instead: str) -> None:
    """:class:`UserError` for a model of several layers; ``instead`` is an objective that serves them."""
    if len(trial(model).layers) > 1:
        raise UserError(f"objective '{objective}' serves one layer of latents only; for more of them use '{instead}'")

"""The estimator's parameters, checked when it is fitted: one line that says which is wrong and what would be right."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal

import torch
from torch import nn

from ratelab.core.asked import TARGETS, check_words
from ratelab.core.errors import UserError, nearest

LIKELIHOODS = ("auto", "bernoulli", "gaussian")
DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class Settings:
    """Checked parameters. ``layered``: a hierarchy was asked for; ``latent_dim`` and ``beta`` hold one entry per layer, top first.

    ``rate``: the rate to reach, in all or per layer; ``distortion``: the distortion to reach, in the units of the data.
    """

    layered: bool
    latent_dim: tuple[int, ...]
    beta: tuple[float, ...]
    rate: float | tuple[float, ...] | None
    distortion: float | None
    hidden: tuple[int, ...]
    likelihood: Literal["auto", "bernoulli", "gaussian"]
    sigma: float | Literal["learned"]
    epochs: int
    batch_size: int
    learning_rate: float
    patience: int | None
    validation_fraction: float
    encoder: nn.Module | None
    decoder: nn.Module | None
    device: torch.device


def checked(params: Mapping[str, Any]) -> Settings:
    """The settings behind an estimator's parameters; :class:`UserError` for the first that is wrong."""
    layered = isinstance(params["latent_dim"], (tuple, list))
    latent_dim = counts("latent_dim", params["latent_dim"] if layered else (params["latent_dim"],))
    if not latent_dim:
        raise UserError("latent_dim: a hierarchy needs at least one layer; give a size per layer, top first, e.g. (8, 16)")
    sigma = params["sigma"]
    rate, distortion = targets(params, len(latent_dim))
    return Settings(
        layered=layered,
        latent_dim=latent_dim,
        beta=weights(params["beta"], len(latent_dim)),
        rate=rate,
        distortion=distortion,
        hidden=counts("hidden", params["hidden"]),
        likelihood=one_of("likelihood", params["likelihood"], LIKELIHOODS),
        sigma="learned" if isinstance(sigma, str) and sigma == "learned" else positive("sigma", sigma, " or 'learned'"),
        epochs=count("epochs", params["epochs"]),
        batch_size=count("batch_size", params["batch_size"]),
        learning_rate=positive("learning_rate", params["learning_rate"]),
        patience=None if params["patience"] is None else count("patience", params["patience"], " or None"),
        validation_fraction=fraction("validation_fraction", params["validation_fraction"]),
        encoder=module("encoder", params["encoder"]),
        decoder=module("decoder", params["decoder"]),
        device=device(params["device"]),
    )


def is_number(value: Any) -> bool:
    """A real number, not a truth value, neither NaN nor infinite."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def count(name: str, value: Any, otherwise: str = "") -> int:
    """A whole number of at least 1."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise UserError(f"{name} must be a whole number of at least 1{otherwise}; got {value!r}")
    return int(value)


def counts(name: str, values: Any) -> tuple[int, ...]:
    """Whole numbers of at least 1, in a tuple or list."""
    if not isinstance(values, (tuple, list)):
        raise UserError(f"{name} must be a tuple of whole numbers, e.g. (256, 256); got {values!r}")
    return tuple(count(name, value) for value in values)


def positive(name: str, value: Any, otherwise: str = "") -> float:
    """A number above 0."""
    if not is_number(value) or value <= 0:
        raise UserError(f"{name} must be a number above 0{otherwise}; got {value!r}")
    return float(value)


def fraction(name: str, value: Any) -> float:
    """A share of the data, strictly between 0 and 1."""
    if not is_number(value) or not 0 < value < 1:
        raise UserError(f"{name} must lie strictly between 0 and 1; got {value!r}")
    return float(value)


def weights(beta: Any, layers: int) -> tuple[float, ...]:
    """One beta per layer: a single number counts for all layers."""
    given = tuple(beta) if isinstance(beta, (tuple, list)) else (beta,) * layers
    if len(given) != layers:
        raise UserError(f"beta: {len(given)} weights for {layers} layer(s) of latents; give one number or {layers}")
    for value in given:
        if not is_number(value) or value < 0:
            raise UserError(f"beta must be a number of at least 0, or one per layer, top first; got {beta!r}")
    return tuple(float(value) for value in given)


def targets(params: Mapping[str, Any], layers: int) -> tuple[float | tuple[float, ...] | None, float | None]:
    """The rate (a total, or one per layer) and the distortion asked for; at most one of them, and no beta beside it."""
    check_words([name for name in TARGETS if params[name] is not None] + ["beta"] * (params["beta"] != 1))
    rates, distortion = params["rates"], params["distortion"]
    if rates is not None:
        if not isinstance(rates, (tuple, list)) or len(rates) != layers:
            raise UserError(f"rates must be a tuple of {layers} number(s), one per layer of latents, top first; got {rates!r}")
        return tuple(positive("rates", value) for value in rates), None
    if distortion is not None and not is_number(distortion):
        raise UserError(f"distortion must be a number of nats; got {distortion!r}")
    return (
        None if params["rate"] is None else positive("rate", params["rate"], "; for one per layer use rates="),
        None if distortion is None else float(distortion),
    )


def one_of(name: str, value: Any, known: tuple[str, ...]) -> Any:
    """A known word; an unknown one is answered with the nearest."""
    if not isinstance(value, str) or value not in known:
        raise UserError(f"unknown {name} {value!r}{nearest(str(value), known)}")
    return value


def module(name: str, value: Any) -> nn.Module | None:
    """A network of the user's own."""
    if value is not None and not isinstance(value, nn.Module):
        raise UserError(f"{name} must be a torch.nn.Module instance or None; got {value!r}")
    return value


def device(name: Any) -> torch.device:
    """The device to work on; ``auto`` is the GPU where there is one."""
    one_of("device", name, DEVICES)
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise UserError("device: no CUDA device is available here; use device='cpu' or 'auto'")
    return torch.device("cuda" if available and name != "cpu" else "cpu")

"""From a blueprint to a model: the networks in standardised units, and the affine map that puts them behind the user's units.

Networks are trained in float32 on standardised values and used in float64 on the user's own: results then do not depend on
how rows are batched, and data far from 0 (years, timestamps) lose no digits before they are centred.
"""

import copy
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from ratelab.core.batch import Batch, ModeNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.models import MODELS
from ratelab.models.standardise import Standardise
from ratelab.sklearn.inputs import Floats, Likelihood

SUPPORTS: dict[Likelihood, Support] = {"bernoulli": Support.BINARY, "gaussian": Support.REAL}


@dataclass(frozen=True)
class Blueprint:
    """What a fitted model is built from, besides its weights. ``sigma``: in units of the standardised data."""

    event_shape: tuple[int, ...]
    layered: bool
    latent_dim: tuple[int, ...]
    hidden: tuple[int, ...]
    likelihood: Likelihood
    sigma: float | Literal["learned"]
    own_encoder: bool
    own_decoder: bool


def build(blueprint: Blueprint, encoder: nn.Module | None, decoder: nn.Module | None) -> Model:
    """An untrained model in float32 on the CPU. The user's own modules are copied, never trained in place."""
    plain = {"name": "mlp", "hidden": blueprint.hidden}
    likelihood: dict[str, Any] = {
        "name": blueprint.likelihood,
        "network": "custom" if blueprint.own_decoder else plain,
    }
    if blueprint.likelihood == "gaussian":
        likelihood["sigma"] = blueprint.sigma
    node = {
        "name": "hierarchy" if blueprint.layered else "vae",
        "latent_dim": blueprint.latent_dim if blueprint.layered else blueprint.latent_dim[0],
        "encoder": {"name": "gaussian", "network": "custom" if blueprint.own_encoder else plain},
        "decoder": likelihood,
    }
    dataset = stand_in(blueprint.event_shape, SUPPORTS[blueprint.likelihood])
    model: Model = MODELS.build(MODELS.resolve(node, "VAE"), dataset, own(encoder), own(decoder))
    if encoder is not None or decoder is not None:
        try_in_double(model)
    return model


def own(module: nn.Module | None) -> nn.Module | None:
    """A float32 copy of a user's module on the CPU."""
    return None if module is None else copy.deepcopy(module).to("cpu", torch.float32)


def stand_in(event_shape: tuple[int, ...], support: Support) -> Dataset:
    """A data set of one example of zeros: models are wired to shapes and supports, not to values."""
    split = Split(np.zeros((1, *event_shape), dtype=np.float32))
    return Dataset("X", support, split, split, split)


@torch.no_grad()
def try_in_double(model: Model) -> None:
    """Fail before the training, not after it, where a user's module only works in single precision."""
    trial = copy.deepcopy(model).double().eval()
    try:
        trial(Batch(torch.zeros(2, *model.event_shape, dtype=torch.float64)), ModeNoise(dtype=torch.float64))
    except RuntimeError as error:
        first = str(error).splitlines()[0]
        raise UserError(
            f"your encoder or decoder must also run in float64, as transform uses it: {first}; "
            "register constants as buffers or create them with dtype=x.dtype"
        ) from None


def moments(x: Floats, own_scales: bool) -> tuple[Floats, Floats]:
    """Shift and scale, of one example's shape, that bring ``x`` (N, \\*event) to mean 0 and spread 1. Float64.

    ``own_scales``: each column has a scale of its own, else all share one. What does not vary keeps scale 1.
    """
    x = x.astype(np.float64, copy=False)
    axis = 0 if own_scales else None
    with np.errstate(over="ignore", invalid="ignore"):
        shift = x.mean(0)
        spread = np.sqrt(np.square(x - shift).mean(axis))
    if not np.isfinite(spread).all():
        raise UserError("X: the values are too large for their spread to be a number; divide them by a constant first")
    scale = np.where(spread > 1e-12 * np.abs(x).max(axis), spread, 1.0)
    return shift, np.broadcast_to(scale, shift.shape)


def behind(model: Model, shift: Floats, scale: Floats) -> None:
    """Put a model of standardised data behind the affine map to the units of the data (log-Jacobian included)."""
    affine = Standardise(stand_in(model.event_shape, Support.REAL)).double()
    affine.shift, affine.scale = torch.tensor(shift, dtype=torch.float64), torch.tensor(scale, dtype=torch.float64)
    model.standardise = affine

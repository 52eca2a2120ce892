"""Models trained with pythae, read from the folder that it saves (Chadebec et al. 2022): weights without unpickling code.

Read are VAEs with pythae's default networks, 512 hidden units each way, and N(0, I). A network of the user's own lies there as a pickle,
which would run code when opened: it is not. The likelihoods are those that its own ``get_nll`` states: Bernoulli pixels for ``bce``,
a Gaussian of unit variance around the reconstruction for ``mse``.
"""

import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Normal

from ratelab.core.errors import UserError

HIDDEN = 512
PICKLED = ("encoder.pkl", "decoder.pkl")


class PythaeEncoder(nn.Module):
    """x (B, \\*event) -> mean and log variance, (B, d) each."""

    def __init__(self, pixels: int, latents: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Sequential(nn.Linear(pixels, HIDDEN), nn.ReLU())])
        self.embedding, self.log_var = nn.Linear(HIDDEN, latents), nn.Linear(HIDDEN, latents)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.layers[0](x.flatten(1))
        return self.embedding(hidden), self.log_var(hidden)


class PythaeDecoder(nn.Module):
    """z (n, d) -> a law over (n, \\*event); the last layer's sigmoid is in the law."""

    def __init__(self, event_shape: tuple[int, ...], latents: int, loss: str) -> None:
        super().__init__()
        self.event_shape, self.loss = event_shape, loss
        out = nn.Linear(HIDDEN, math.prod(event_shape))
        self.layers = nn.ModuleList([nn.Sequential(nn.Linear(latents, HIDDEN), nn.ReLU()), nn.Sequential(out, nn.Identity())])

    def forward(self, z: Tensor) -> Distribution:
        logits = self.layers[1](self.layers[0](z)).unflatten(-1, self.event_shape)
        return Bernoulli(logits=logits) if self.loss == "bce" else Normal(torch.sigmoid(logits), 1.0)


class Parts(NamedTuple):
    """A model's two networks; its marginal is N(0, I)."""

    encoder: PythaeEncoder
    decoder: PythaeDecoder


def read_pythae(folder: Path) -> Parts:
    """Encoder and decoder of a saved model; :class:`UserError` saying what it is that cannot be read."""
    config = _config(folder)
    for name in PICKLED:
        if (folder / name).exists() or not config.get(f"uses_default_{name[:-4]}", True):
            raise UserError(
                f"{folder}: its {name[:-4]} is a network of its own, saved as a pickle, which is not opened; use rl.measure"
            )
    shape, latents, loss = config.get("input_dim"), config.get("latent_dim"), config.get("reconstruction_loss")
    sizes = shape if isinstance(shape, list) else []
    if not sizes or not all(type(size) is int and size > 0 for size in (*sizes, latents)):  # true is no size
        raise UserError(f"{folder}: model_config.json names no input_dim and latent_dim; this is no saved VAE of pythae")
    if loss not in ("bce", "mse"):
        raise UserError(f"{folder}: reconstruction_loss '{loss}' is no likelihood that is known here; bce and mse are")
    assert isinstance(latents, int)
    weights = _weights(folder / "model.pt")
    if HIDDEN * max(math.prod(sizes), latents) > sum(
        value.numel() for value in weights.values()
    ):  # before room is made for them
        raise UserError(
            f"{folder}: model_config.json names input_dim {sizes} and latent_dim {latents}, too large for the weights"
        )
    parts = Parts(PythaeEncoder(math.prod(sizes), latents), PythaeDecoder(tuple(sizes), latents, loss))
    known = {f"{name}.{key}": value for name, part in parts._asdict().items() for key, value in part.state_dict().items()}
    if {key: value.shape for key, value in weights.items()} != {key: value.shape for key, value in known.items()}:
        raise UserError(
            f"{folder}: a '{config.get('name')}' whose weights are not those of a VAE with pythae's default networks"
        )
    _check_numbers(weights, folder / "model.pt")
    for name, part in parts._asdict().items():
        own = {key.removeprefix(f"{name}."): value for key, value in weights.items() if key.startswith(f"{name}.")}
        part.load_state_dict(own)
        part.eval()
    return parts


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "model_config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise UserError(f"{folder}: no saved model of pythae (it has no readable model_config.json)") from None
    except (ValueError, RecursionError):
        raise UserError(f"{path}: no JSON; save the model again") from None
    if not isinstance(config, dict):
        raise UserError(f"{path}: no configuration of a model; save the model again")
    return config


def _weights(path: Path) -> dict[str, Tensor]:
    """Tensors by name; nothing but tensors is unpickled."""
    try:
        damaged = _damaged(path)
        state = {} if damaged else dict(torch.load(path, map_location="cpu", weights_only=True)["model_state_dict"])
    except OSError:
        raise UserError(f"{path}: cannot be read; save the model again") from None
    except Exception:  # a reader of damaged bytes may raise anything
        raise UserError(f"{path}: holds no plain weights of a model; save it again with pythae's model.save") from None
    if damaged:
        raise UserError(f"{path}: it is damaged ({damaged} is not what was saved); copy or save the model again")
    for key, value in state.items():
        if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_nested or value.device.type != "cpu":
            raise UserError(f"{path}: '{key}' is no dense tensor; save the model with dense weights")
    return {str(key): value for key, value in state.items()}


def _damaged(path: Path) -> str | None:
    """The first member of the archive whose bytes do not give its check sum, which torch does not look at; None where all do."""
    if not zipfile.is_zipfile(path):
        return None  # as old versions of torch saved
    with zipfile.ZipFile(path) as archive:
        return archive.testzip()


def _check_numbers(weights: Mapping[str, Tensor], path: Path) -> None:
    """:class:`UserError` naming the first weights that are no finite floating-point numbers."""
    for key, value in weights.items():
        if not value.is_floating_point():
            raise UserError(f"{path}: '{key}' is {value.dtype}; save the model with floating-point weights")
        if not bool(value.float().isfinite().all()):
            raise UserError(
                f"{path}: '{key}' holds NaN or infinity, as after a training that diverged; save a model that is finite"
            )

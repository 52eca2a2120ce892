"""A fitted estimator as one safetensors file: weights as tensors, parameters and fitted facts as JSON in its header."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.sklearn.fitting import own_randomness
from ratelab.sklearn.network import Blueprint, behind, build
from ratelab.store.files import read_file, write_file

KIND = "ratelab.VAE"
VERSION = 1
ADVICE = "give the path that VAE.save wrote to"


@dataclass(frozen=True)
class Facts:
    """What a fit found out, besides the model."""

    n_features_in: int
    feature_names_in: tuple[str, ...] | None
    n_iter: int
    seed: int


class Stored(NamedTuple):
    """What a file holds: constructor parameters, fitted facts and the model with its blueprint."""

    params: dict[str, Any]
    facts: Facts
    blueprint: Blueprint
    model: Model


def write(path: Path, params: Mapping[str, Any], facts: Facts, blueprint: Blueprint, model: Model) -> None:
    """Write the file in one step; :class:`UserError` where a parameter is no plain number, text or tuple of them."""
    header = {"params": plain(params), "facts": plain(asdict(facts)), "blueprint": plain(asdict(blueprint))}
    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in model.state_dict().items()}
    metadata = {"kind": KIND, "version": str(VERSION), "content": json.dumps(header)}
    write_file(path, save(tensors, metadata))


def read(path: Path, encoder: nn.Module | None, decoder: nn.Module | None) -> Stored:
    """The inverse of :func:`write`; :class:`UserError` for a missing, corrupt, newer or foreign file, or a missing module."""
    blob = read_file(path, ADVICE)
    content, tensors = unpack(blob, path)
    try:
        blueprint = TypeAdapter(Blueprint).validate_python(content["blueprint"])
        params = {name: tuples(value) for name, value in content["params"].items()}
        facts = TypeAdapter(Facts).validate_python(content["facts"])
    except (KeyError, AttributeError, TypeError, ValidationError):
        raise UserError(f"{path} is corrupt (its header is incomplete); {ADVICE}") from None
    for role, needed, given in (("encoder", blueprint.own_encoder, encoder), ("decoder", blueprint.own_decoder, decoder)):
        if needed and given is None:
            raise UserError(
                f"{path} was trained with a module of yours, whose code is not in it; call load(..., {role}=module)"
            )
        if given is not None and not needed:
            raise UserError(f"{path} was trained without a module of yours as {role}; leave out {role}=")
    with own_randomness(0, torch.device("cpu")):
        model = build(blueprint, encoder, decoder)
    if "standardise.shift" in tensors:
        behind(model, np.zeros(blueprint.event_shape), np.ones(blueprint.event_shape))
    model.double().eval()
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path} does not fit the model it describes, or the modules given ({reason})") from None
    return Stored(params, facts, blueprint, model)


def unpack(blob: bytes, path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The header's content and the tensors of one of our files; says what else it may be."""
    try:
        tensors = load(blob)
    except SafetensorError as error:
        raise UserError(f"{path} is no saved VAE, or is corrupt ({str(error).splitlines()[0]}); {ADVICE}") from None
    metadata = json.loads(blob[8 : 8 + int.from_bytes(blob[:8], "little")]).get("__metadata__", {})
    if metadata.get("kind") != KIND:
        raise UserError(f"{path} holds tensors, but no saved VAE; {ADVICE}")
    if metadata.get("version") != str(VERSION):
        raise UserError(f"{path} was written by a newer RateLab (format {metadata.get('version')}); upgrade ratelab to read it")
    try:
        return json.loads(metadata["content"]), tensors
    except (ValueError, KeyError):
        raise UserError(f"{path} is corrupt (its header is incomplete); {ADVICE}") from None


def plain(value: Any) -> Any:
    """NumPy scalars as Python's, tuples as lists; :class:`UserError` for what JSON cannot hold."""
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise UserError(f"cannot save {value!r}: a saved VAE holds numbers and texts only")


def tuples(value: Any) -> Any:
    """JSON's lists as the tuples they were."""
    return tuple(tuples(entry) for entry in value) if isinstance(value, list) else value

"""Full training state as one safetensors blob: tensors as they are, everything else as JSON in the header. Nothing is pickled."""

import json
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ratelab.core.errors import UserError
from ratelab.training.layout import as_laid_out

HEADER = "ratelab"


def to_bytes(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> bytes:
    """Pack tensors and JSON-able facts; the tensors are made contiguous, on the CPU, and never share memory."""
    plain = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    return save(plain, {HEADER: json.dumps(facts)})


def from_bytes(blob: bytes, what: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Unpack :func:`to_bytes`; ``what`` names the file in the error for a corrupt one."""
    try:
        tensors = load(blob)
        length = int.from_bytes(blob[:8], "little")
        facts = json.loads(json.loads(blob[8 : 8 + length])["__metadata__"][HEADER])
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{what} is corrupt ({str(error).splitlines()[0]}); delete the run's folder and train it again"
        ) from None
    return tensors, facts


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under ``prefix/``."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of :func:`prefixed`: what lies under ``prefix/``."""
    return {name.removeprefix(f"{prefix}/"): t for name, t in tensors.items() if name.startswith(f"{prefix}/")}


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's moments and step counts, by parameter position."""
    state = optimiser.state_dict()["state"]
    return {f"{position}/{key}": torch.as_tensor(value) for position, slots in state.items() for key, value in slots.items()}


def load_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """The inverse of :func:`optimiser_tensors`; moments lie in memory as their parameters do, which the fused step counts on."""
    state: dict[int, dict[str, Tensor]] = {}
    parameters = dict(enumerate(parameter for group in optimiser.param_groups for parameter in group["params"]))
    for name, tensor in tensors.items():
        position, _, key = name.partition("/")
        moved = parameters[int(position)]
        state.setdefault(int(position), {})[key] = as_laid_out(moved, tensor) if tensor.shape == moved.shape else tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})

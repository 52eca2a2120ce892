"""Which trainings may lie side by side in one stack, and which may not.

Members of a stack run one recorded program, so whatever is no tensor (widths, options) must be the same in all of them; parameters,
hyper-parameters that are buffers, and the numbers of the optimiser, which works outside that program, may differ.
"""

import dataclasses
import functools
from collections.abc import Mapping
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from ratelab.training.layout import foreign
from ratelab.training.loop import Trainer
from ratelab.training.optimisers import Adam

_REGISTERED = {"_parameters", "_buffers", "_modules"}


def refusal(trainer: Trainer) -> str | None:
    """Why this training cannot be part of any stack, in a few words; None where it can."""
    if not trainer.objective.stacks:
        return f"objective '{type(trainer.objective).__name__}' does not stack"
    if not trainer.model.stacks:
        return f"model '{type(trainer.model).__name__}' does not stack"
    if trainer.model.conditioning is not None:
        return "one model for the whole curve is trained by itself"
    if not all(isinstance(optimiser, Adam) for optimiser in trainer.optimisers):
        return f"optimiser '{type(trainer.optimisers[0]).__name__}' does not stack, 'Adam' does"
    for module in _modules(trainer):
        if isinstance(module, (_BatchNorm, _DropoutNd)):
            return f"'{type(module).__name__}' changes or draws in the forward pass"
        if foreign(module):
            return f"'{type(module).__name__}' is code of your own"
    return None


def likeness(trainer: Trainer) -> str:
    """A text that is the same for trainings that may share a stack, and differs for others."""
    objective, model = trainer.objective, trainer.model
    options = [(type(optimiser).__name__, optimiser.normalise) for optimiser in trainer.optimisers]
    players = [(player.name, player.steps) for player in trainer.players]
    split = (tuple(trainer.train_loader.x.shape), trainer.train_loader.batch_size, trainer.train_loader.resample is None)
    shapes = [
        (name, tuple(tensor.shape), str(tensor.dtype))
        for module in (model, objective)
        for name, tensor in (*module.named_parameters(), *module.named_buffers())
    ]
    facts = [_plain({k: v for k, v in vars(module).items() if k not in _REGISTERED}) for module in _modules(trainer)]
    return repr((facts, shapes, options, players, split, trainer.plan, str(trainer.device), trainer.epoch))


def _modules(trainer: Trainer) -> list[nn.Module]:
    return [*trainer.model.modules(), *trainer.objective.modules()]


def _plain(value: Any) -> Any:
    """A value as text that depends on its content alone, never on an address."""
    if isinstance(value, nn.Module):
        return type(value).__qualname__
    if isinstance(value, Tensor):
        return (tuple(value.shape), str(value.dtype), value.tolist())  # no buffer, so it is a constant of the program
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(entry) for entry in (sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return (type(value).__qualname__, _plain(vars(value)))
    if isinstance(value, functools.partial):
        return (_plain(value.func), _plain(value.args), _plain(value.keywords))
    if isinstance(value, (FunctionType, BuiltinFunctionType, MethodType, type)):
        return (value.__qualname__, _plain([cell.cell_contents for cell in getattr(value, "__closure__", None) or ()]))
    return repr(value)

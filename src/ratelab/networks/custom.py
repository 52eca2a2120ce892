"""A network of the user's own: an ``nn.Module`` class named in a recipe, or an instance passed from Python.

A recipe that names code runs that code, so ``runs`` builds such recipes only when told to (``--allow-code``), and the
source of the module enters the run's identity.
"""

import importlib
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from ratelab.core.errors import UserError
from ratelab.networks.layers import over_images

DottedName = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]


def imported(dotted: str) -> type[nn.Module]:
    """The class behind ``package.module:Class``; :class:`UserError` where there is none."""
    if not dotted:
        raise UserError("custom network: say which class, e.g. 'code: package.module:Class'")
    module, _, name = dotted.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"custom network '{dotted}': {error}; write it as package.module:Class, importable from here") from None
    except (Exception, SystemExit) as error:  # a user's module may fail in any way; the way is the message
        raise UserError(f"custom network '{dotted}': its module fails with {failure(error)}") from None
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise UserError(f"custom network '{dotted}' is no torch.nn.Module class")
    return found


class CustomFeatures(nn.Module):
    """Wraps a module (B, \\*event) -> (B, ...) as features of any number of leading axes; its output is flattened."""

    def __init__(
        self, event_shape: tuple[int, ...], module: nn.Module | None = None, *, code: DottedName | None = None
    ) -> None:
        super().__init__()
        self.event_shape = event_shape
        self.module = module if module is not None else made(code or "")
        with torch.no_grad():
            self.features = self._flat(probe(self.module, event_shape, "encoder")).shape[-1]

    @staticmethod
    def _flat(out: Tensor) -> Tensor:
        return out.flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return over_images(lambda images: self._flat(self.module(images)), x, len(self.event_shape))


class CustomRenderer(nn.Module):
    """Wraps a module (B, \\*latent) -> (B, ...) as a decoder network; its output must hold as many values as ``out_shape``."""

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        module: nn.Module | None = None,
        *,
        code: DottedName | None = None,
    ) -> None:
        super().__init__()
        self.latent_shape, self.out_shape = latent_shape, out_shape
        self.module = module if module is not None else made(code or "")
        with torch.no_grad():
            out = probe(self.module, latent_shape, "decoder")
        if out[0].numel() != torch.Size(out_shape).numel():
            raise UserError(f"custom decoder gives {tuple(out.shape[1:])} for one example where {out_shape} is needed")

    def forward(self, z: Tensor) -> Tensor:
        return over_images(lambda rows: self.module(rows).reshape(-1, *self.out_shape), z, len(self.latent_shape))


def made(dotted: str) -> nn.Module:
    """An instance of the class behind ``dotted``, made without arguments."""
    kind = imported(dotted)
    try:
        return kind()
    except (Exception, SystemExit) as error:
        raise UserError(
            f"custom network '{dotted}': {kind.__name__}() fails with {failure(error)}; it is made without arguments"
        ) from None


def failure(error: BaseException) -> str:
    """An exception in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def probe(module: nn.Module, shape: tuple[int, ...], role: str) -> Tensor:
    """What a user's module makes of two zeros of ``shape``; :class:`UserError` where it cannot take them."""
    was_training = module.training
    module.eval()  # running statistics of normalisation layers must not see these zeros
    try:
        out = module(torch.zeros(2, *shape, dtype=next(module.parameters(), torch.zeros(())).dtype))
    except Exception as error:
        sizes = ", ".join(map(str, shape))
        raise UserError(f"custom {role} cannot take input of shape (batch, {sizes}): {failure(error)}") from None
    finally:
        module.train(was_training)
    if not isinstance(out, Tensor) or out.ndim < 1 or out.shape[0] != 2:
        got: Any = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise UserError(f"custom {role} must return one tensor with the batch first; for a batch of 2 it gave {got}")
    return out

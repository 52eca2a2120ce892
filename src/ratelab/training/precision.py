"""The arithmetic of a training: float32 throughout, or bfloat16 in the products of its networks (``precision: bf16``).

Under ``bf16`` matrix products and convolutions take bfloat16 values (8 bits of mantissa) and sum in float32. Parameters, optimiser,
latents, densities and what is logged stay float32; validation and evaluation are float32 whatever a model was trained in.

Float32 is float32 on a GPU too, where PyTorch's convolutions otherwise keep 10 bits of mantissa and do not repeat (:func:`repeatable`).
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

Precision = Literal["float32", "bf16"]


def arithmetic(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """The context in which losses are computed; gradients are taken outside of it, in the arithmetic of what they pass through.

    Weights are rounded anew wherever they are used: a copy kept for the next use would gather its gradient in bfloat16.
    """
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)


def repeatable(device: torch.device) -> AbstractContextManager[object]:
    """The context in which convolutions on a GPU take and keep float32, and give the same result every time."""
    if device.type != "cuda":
        return nullcontext()
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)

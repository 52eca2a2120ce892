"""How a model's weights lie in memory. It changes results by float32 rounding, and is no part of a run's identity or of its files."""

import torch
from torch import Tensor, nn

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
WIDE = 32
"""Channels from which a convolution is faster channels last: Xiao and Bamler's network of 16 is 1.2 times faster as it is, that of 32
1.1 times faster channels last (`benchmarks/convolutions.py`)."""
_OURS = ("ratelab.", "torch.nn.")


def foreign(module: nn.Module) -> bool:
    """Neither ours nor torch's: what it does with its tensors is not known."""
    return not f"{type(module).__module__}.".startswith(_OURS)


def convolves(model: nn.Module) -> bool:
    """The model has convolutions."""
    return any(isinstance(module, CONVOLUTIONS) for module in model.modules())


def lay_out(model: nn.Module) -> None:
    """On a CPU, where wide convolutions are faster channels last, lay their weights out so; activations follow the weights.

    A model whose convolutions are mostly narrow stays as it is, and so does one with code of the user's own, which may count on
    the order of an activation in memory.
    """
    if any(foreign(module) for module in model.modules()):
        return
    convolutions = [module for module in model.modules() if isinstance(module, CONVOLUTIONS)]
    wide = sum(module.weight.numel() for module in convolutions if min(module.in_channels, module.out_channels) >= WIDE)
    if 2 * wide > sum(module.weight.numel() for module in convolutions):
        for module in convolutions:
            if module.weight.device.type == "cpu":
                module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)


def as_laid_out(like: Tensor, value: Tensor) -> Tensor:
    """``value`` in the memory order of ``like``, of the same shape."""
    return torch.empty_like(like, dtype=value.dtype).copy_(value)

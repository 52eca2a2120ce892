"""How a model's weights lie in memory. It changes results by float32 rounding, and is no part of a run's identity or of its files."""

import torch
from torch import Tensor, nn

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
_OURS = ("ratelab.", "torch.nn.")


def foreign(module: nn.Module) -> bool:
    """Neither ours nor torch's: what it does with its tensors is not known."""
    return not f"{type(module).__module__}.".startswith(_OURS)


def convolves(model: nn.Module) -> bool:
    """The model has convolutions."""
    return any(isinstance(module, CONVOLUTIONS) for module in model.modules())


def lay_out(model: nn.Module) -> None:
    """On a CPU, where convolutions are faster channels last, lay their weights out so; activations follow the weights.

    A model with code of the user's own stays as it is: that code may count on the order of an activation in memory.
    """
    if any(foreign(module) for module in model.modules()):
        return
    for module in model.modules():
        if isinstance(module, CONVOLUTIONS) and module.weight.device.type == "cpu":
            module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)


def as_laid_out(like: Tensor, value: Tensor) -> Tensor:
    """``value`` in the memory order of ``like``, of the same shape."""
    return torch.empty_like(like, dtype=value.dtype).copy_(value)

"""The transposed convolution by way of the convolution whose gradient it is.

Carrying x back through a convolution with the same weights gives the transposed convolution of x, and its own gradients are a convolution
and that convolution's weight gradient. On a CPU these three are the fast ones where channels are many: 5x5 with stride 2 is twice as
fast in float32, and five times in bfloat16, for which there is no fast transposed convolution of that kind.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Pair = tuple[int, int]
WIDE = 32  # channels on either side from which on the detour pays


class Deconv(nn.ConvTranspose2d):
    """``nn.ConvTranspose2d``, the same numbers up to rounding: (B, inputs, h, w) -> (B, outputs, H, W) with
    H = (h - 1) stride - 2 padding + kernel + output_padding.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | Pair,
        stride: int = 1,
        padding: int | Pair = 0,
        output_padding: int | Pair = 0,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding, output_padding, bias=bias)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if x.device.type != "cpu" or min(self.in_channels, self.out_channels) < WIDE:
            return super().forward(x, output_size)
        kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
        grown: Tensor = _Grow.apply(x.to(kind), self.weight.to(kind), self.stride, self.padding, self.output_padding)
        return grown if self.bias is None else grown + self.bias.to(kind).view(-1, 1, 1)


class _Grow(torch.autograd.Function):
    """x (B, I, h, w) and weights (I, O, k, k) -> (B, O, H, W), without a bias."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, stride: Pair, padding: Pair, extra: Pair) -> Tensor:
        shapes = zip(x.shape[-2:], stride, padding, weight.shape[-2:], extra, strict=True)
        sides = ((n - 1) * s - 2 * p + k + e for n, s, p, k, e in shapes)
        return _backwards(x, x.new_empty(x.shape[0], weight.shape[1], *sides), weight, stride, padding)[0]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Pair, Pair, Pair], output: Tensor) -> None:
        x, weight, ctx.stride, ctx.padding, _ = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        x, weight = ctx.saved_tensors
        (gradient,) = gradients
        back = F.conv2d(gradient, weight, None, ctx.stride, ctx.padding)
        return back, _backwards(x, gradient, weight, ctx.stride, ctx.padding, data=False)[1], None, None, None


def _backwards(x: Tensor, grown: Tensor, weight: Tensor, stride: Pair, padding: Pair, data: bool = True) -> Any:
    """Gradients of the convolution that takes ``grown`` to the shape of x, where x is the gradient: in its input or in its weights."""
    return torch.ops.aten.convolution_backward(
        x, grown, weight, None, stride, padding, (1, 1), False, (0, 0), 1, (data, not data, False)
    )

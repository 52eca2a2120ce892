"""Inception v3 up to its 2048 features (Szegedy et al. 2016), laid out and named as in torchvision, whose weights it takes.

Only the features are here: the classifier ``fc`` and the auxiliary one ``AuxLogits`` of a file of weights are left aside. The network is
used in evaluation only.
"""

from collections.abc import Callable

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from ratelab.core.errors import UserError

SIDE = 299
FEATURES = 2048
Kernel = int | tuple[int, int]


class BasicConv2d(nn.Module):
    """A convolution without bias, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: Kernel, stride: int = 1, padding: Kernel = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


def half(inputs: int, outputs: int, kernel: tuple[int, int]) -> BasicConv2d:
    """One of the two halves of a square kernel, a row or a column; the sides stay."""
    return BasicConv2d(inputs, outputs, kernel, padding=(kernel[0] // 2, kernel[1] // 2))


class Mixed(nn.Module):
    """Branches side by side, each a chain of convolutions by name; their maps are joined in order."""

    def __init__(self, **layers: BasicConv2d) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)

    def chain(self, x: Tensor, *names: str) -> Tensor:
        """x through the named layers, one after the other."""
        for name in names:
            x = self.get_submodule(name)(x)
        return x


def averaged(x: Tensor) -> Tensor:
    """Means over 3x3, the border's zeros among them, as torchvision takes them."""
    return F.avg_pool2d(x, 3, 1, 1)


class InceptionA(Mixed):
    """35x35: 1x1, 5x5, two 3x3, and pooling."""

    def __init__(self, inputs: int, pooled: int) -> None:
        super().__init__(
            branch1x1=BasicConv2d(inputs, 64, 1),
            branch5x5_1=BasicConv2d(inputs, 48, 1), branch5x5_2=BasicConv2d(48, 64, 5, padding=2),
            branch3x3dbl_1=BasicConv2d(inputs, 64, 1), branch3x3dbl_2=BasicConv2d(64, 96, 3, padding=1),
            branch3x3dbl_3=BasicConv2d(96, 96, 3, padding=1),
            branch_pool=BasicConv2d(inputs, pooled, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([
            self.chain(x, "branch1x1"),
            self.chain(x, "branch5x5_1", "branch5x5_2"),
            self.chain(x, "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"),
            self.chain(averaged(x), "branch_pool"),
        ], 1)  # fmt: skip


class InceptionB(Mixed):
    """35x35 to 17x17."""

    def __init__(self, inputs: int) -> None:
        super().__init__(
            branch3x3=BasicConv2d(inputs, 384, 3, 2),
            branch3x3dbl_1=BasicConv2d(inputs, 64, 1), branch3x3dbl_2=BasicConv2d(64, 96, 3, padding=1),
            branch3x3dbl_3=BasicConv2d(96, 96, 3, 2),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        double = self.chain(x, "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3")
        return torch.cat([self.chain(x, "branch3x3"), double, F.max_pool2d(x, 3, 2)], 1)


class InceptionC(Mixed):
    """17x17: 7x7 in two halves, once and twice; ``width``: channels between."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__(
            branch1x1=BasicConv2d(inputs, 192, 1),
            branch7x7_1=BasicConv2d(inputs, width, 1), branch7x7_2=half(width, width, (1, 7)),
            branch7x7_3=half(width, 192, (7, 1)),
            branch7x7dbl_1=BasicConv2d(inputs, width, 1), branch7x7dbl_2=half(width, width, (7, 1)),
            branch7x7dbl_3=half(width, width, (1, 7)), branch7x7dbl_4=half(width, width, (7, 1)),
            branch7x7dbl_5=half(width, 192, (1, 7)),
            branch_pool=BasicConv2d(inputs, 192, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([
            self.chain(x, "branch1x1"),
            self.chain(x, *(f"branch7x7_{i}" for i in range(1, 4))),
            self.chain(x, *(f"branch7x7dbl_{i}" for i in range(1, 6))),
            self.chain(averaged(x), "branch_pool"),
        ], 1)  # fmt: skip


class InceptionD(Mixed):
    """17x17 to 8x8."""

    def __init__(self, inputs: int) -> None:
        super().__init__(
            branch3x3_1=BasicConv2d(inputs, 192, 1), branch3x3_2=BasicConv2d(192, 320, 3, 2),
            branch7x7x3_1=BasicConv2d(inputs, 192, 1), branch7x7x3_2=half(192, 192, (1, 7)),
            branch7x7x3_3=half(192, 192, (7, 1)), branch7x7x3_4=BasicConv2d(192, 192, 3, 2),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        long = self.chain(x, *(f"branch7x7x3_{i}" for i in range(1, 5)))
        return torch.cat([self.chain(x, "branch3x3_1", "branch3x3_2"), long, F.max_pool2d(x, 3, 2)], 1)


class InceptionE(Mixed):
    """8x8: 3x3 in two halves side by side, once and behind another 3x3."""

    def __init__(self, inputs: int) -> None:
        super().__init__(
            branch1x1=BasicConv2d(inputs, 320, 1),
            branch3x3_1=BasicConv2d(inputs, 384, 1), branch3x3_2a=half(384, 384, (1, 3)),
            branch3x3_2b=half(384, 384, (3, 1)),
            branch3x3dbl_1=BasicConv2d(inputs, 448, 1), branch3x3dbl_2=BasicConv2d(448, 384, 3, padding=1),
            branch3x3dbl_3a=half(384, 384, (1, 3)), branch3x3dbl_3b=half(384, 384, (3, 1)),
            branch_pool=BasicConv2d(inputs, 192, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        once = self.chain(x, "branch3x3_1")
        twice = self.chain(x, "branch3x3dbl_1", "branch3x3dbl_2")
        return torch.cat([
            self.chain(x, "branch1x1"),
            self.chain(once, "branch3x3_2a"), self.chain(once, "branch3x3_2b"),
            self.chain(twice, "branch3x3dbl_3a"), self.chain(twice, "branch3x3dbl_3b"),
            self.chain(averaged(x), "branch_pool"),
        ], 1)  # fmt: skip


def pooled(x: Tensor) -> Tensor:
    """The largest of 3x3, at every other place."""
    return F.max_pool2d(x, 3, 2)


class InceptionV3(nn.Module):
    """Images (N, C, H, W) in [0, 1], grey or colour, of any size -> features (N, 2048). 21 785 568 parameters.

    Images are scaled to 299x299 and to [-1, 1], which is what torchvision's weights were trained on.
    """

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = BasicConv2d(3, 32, 3, 2)
        self.Conv2d_2a_3x3 = BasicConv2d(32, 32, 3)
        self.Conv2d_2b_3x3 = BasicConv2d(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = BasicConv2d(64, 80, 1)
        self.Conv2d_4a_3x3 = BasicConv2d(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = InceptionA(192, 32), InceptionA(256, 64), InceptionA(288, 64)
        self.Mixed_6a = InceptionB(288)
        self.Mixed_6b, self.Mixed_6c = InceptionC(768, 128), InceptionC(768, 160)
        self.Mixed_6d, self.Mixed_6e = InceptionC(768, 160), InceptionC(768, 192)
        self.Mixed_7a = InceptionD(768)
        self.Mixed_7b, self.Mixed_7c = InceptionE(1280), InceptionE(2048)

    def maps(self) -> list[Callable[[Tensor], Tensor]]:
        """The layers in order, from images of 299x299 to maps (N, 2048, 8, 8)."""
        return [
            self.Conv2d_1a_3x3, self.Conv2d_2a_3x3, self.Conv2d_2b_3x3, pooled, self.Conv2d_3b_1x1, self.Conv2d_4a_3x3, pooled,
            self.Mixed_5b, self.Mixed_5c, self.Mixed_5d, self.Mixed_6a, self.Mixed_6b, self.Mixed_6c, self.Mixed_6d,
            self.Mixed_6e, self.Mixed_7a, self.Mixed_7b, self.Mixed_7c,
        ]  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        x = x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
        x = 2 * F.interpolate(x, (SIDE, SIDE), mode="bilinear", align_corners=False) - 1
        for layer in self.maps():
            x = layer(x)
        return x.mean((2, 3))


LEFT_ASIDE = ("fc.", "AuxLogits.")
COUNTER = ".num_batches_tracked"  # how long training took, which evaluation does not ask


def read_inception(path: str) -> InceptionV3:
    """The network with the weights of a safetensors file, in evaluation mode.

    Raises :class:`UserError` where there is no such file, it is no safetensors file or cut off, or holds another network's weights.
    """
    try:
        given = load_file(path)
    except (OSError, SafetensorError) as error:
        what = "there is none" if isinstance(error, FileNotFoundError) else "it is none, or is cut off"
        raise UserError(f"weights '{path}': expected a safetensors file of torchvision's inception_v3; {what}") from None
    network = InceptionV3()
    wanted = {name: value for name, value in network.state_dict().items() if not name.endswith(COUNTER)}
    weights = {name: value for name, value in given.items() if not name.endswith(COUNTER) and not name.startswith(LEFT_ASIDE)}
    wrong = next((f"lacks '{name}'" for name in wanted if name not in weights), "")
    wrong = wrong or next((f"has '{name}', which that has not" for name in weights if name not in wanted), "")
    for name, value in wanted.items():
        if not wrong and weights[name].shape != value.shape:
            wrong = f"has '{name}' of shape {tuple(weights[name].shape)} in place of {tuple(value.shape)}"
    if wrong:
        raise UserError(f"weights '{path}': expected those of torchvision's inception_v3, and this file {wrong}")
    network.load_state_dict({name: value.float() for name, value in weights.items()}, strict=False)
    return network.eval().requires_grad_(False)

"""Classifiers of images: stages with dropout between them, features, and a linear head to the logits of the classes.

The three of Xiao and Bamler 2023's public code (a small net for MNIST, ResNet-18 for SVHN, DenseNet-121 for CIFAR-10), and one small enough
for a CPU. Dropout is drawn by who calls them: no network of ours has randomness of its own.
"""

from abc import abstractmethod
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ratelab.core.errors import UserError
from ratelab.core.table import Table

Drop = Callable[[Tensor, float], Tensor]
"""Values and the share of them to drop, to the values that are left, scaled up."""


def keep(values: Tensor, share: float) -> Tensor:
    """No dropout: evaluation."""
    return values


class ClassifierNetwork(nn.Module):
    """``stages``, each followed by dropout of its share in ``drops``; the last one gives (B, F) features for ``head``."""

    stages: nn.ModuleList
    drops: tuple[float, ...]
    head: nn.Linear

    @abstractmethod
    def __init__(self, event_shape: tuple[int, ...], classes: int) -> None:
        super().__init__()

    def features(self, x: Tensor, drop: Drop = keep) -> Tensor:
        """(B, C, H, W) -> (B, F)."""
        for stage, share in zip(self.stages, self.drops, strict=True):
            x = drop(stage(x), share)
        return x

    def forward(self, x: Tensor, drop: Drop = keep) -> Tensor:
        """(B, C, H, W) -> (B, classes) logits."""
        logits: Tensor = self.head(self.features(x, drop))
        return logits


def image(event_shape: tuple[int, ...], name: str, smallest: int, multiple: int = 1) -> tuple[int, int]:
    """(C, side) of a square image of at least ``smallest`` pixels a side; :class:`UserError` for anything else."""
    side = event_shape[-1] if len(event_shape) == 3 and event_shape[1] == event_shape[2] else 0
    if side < smallest or side % multiple:
        what = f"a multiple of {multiple} from {smallest} on" if multiple > 1 else f"{smallest} or more"
        raise UserError(f"classifier '{name}' takes square images (C, H, H) with H {what}, not data of shape {event_shape}")
    return event_shape[0], side


class MnistClassifier(ClassifierNetwork):
    """Conv 3x3 of 32 and of 64 channels, maximum of 2x2, dropout 1/4, 128 features, dropout 1/2: 1 199 882 parameters on 28x28."""

    drops = (0.25, 0.5)

    def __init__(self, event_shape: tuple[int, ...], classes: int) -> None:
        super().__init__(event_shape, classes)
        channels, side = image(event_shape, "mnist", 8)
        maps = nn.Sequential(
            nn.Conv2d(channels, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
        )
        dense = nn.Sequential(nn.Linear(64 * ((side - 4) // 2) ** 2, 128), nn.ReLU())
        self.stages, self.head = nn.ModuleList([maps, dense]), nn.Linear(128, classes)


class SmallClassifier(ClassifierNetwork):
    """Three pairs of 3x3 convolutions of 32, 64 and 128 channels with batch normalisation, for colour images on a CPU."""

    drops = (0.0, 0.0, 0.0, 0.3)

    def __init__(self, event_shape: tuple[int, ...], classes: int) -> None:
        super().__init__(event_shape, classes)
        channels, _ = image(event_shape, "small", 8, 8)
        blocks = [
            nn.Sequential(*conv_norm(a, b), nn.ReLU(), *conv_norm(b, b), nn.ReLU(), nn.MaxPool2d(2))
            for a, b in pairwise((channels, 32, 64, 128))
        ]
        self.stages = nn.ModuleList([*blocks, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())])
        self.head = nn.Linear(128, classes)


def conv_norm(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> tuple[nn.Module, nn.Module]:
    """A convolution without bias and its batch normalisation."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)


class Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut, which is a 1x1 convolution where shapes differ (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.long = nn.Sequential(*conv_norm(inputs, outputs, stride), nn.ReLU(), *conv_norm(outputs, outputs))
        same = stride == 1 and inputs == outputs
        self.short = nn.Identity() if same else nn.Sequential(*conv_norm(inputs, outputs, stride, kernel=1))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.long(x) + self.short(x))


class ResNet18(ClassifierNetwork):
    """ResNet-18 with a 3x3 stem of stride 1 and no pooling after it: 11 173 962 parameters on 32x32x3 and ten classes."""

    drops = (0.0,)

    def __init__(self, event_shape: tuple[int, ...], classes: int) -> None:
        super().__init__(event_shape, classes)
        channels, _ = image(event_shape, "resnet-18", 32, 8)
        layers: list[nn.Module] = [*conv_norm(channels, 64), nn.ReLU()]
        for inputs, outputs in pairwise((64, 64, 128, 256, 512)):
            layers += [Residual(inputs, outputs, 1 if outputs == 64 else 2), Residual(outputs, outputs, 1)]
        self.stages = nn.ModuleList([nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())])
        self.head = nn.Linear(512, classes)


class Dense(nn.Module):
    """A bottleneck of 1x1 and a 3x3 convolution whose ``growth`` maps are added to those it saw (Huang et al. 2017)."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, 4 * growth, 1, bias=False),
            nn.BatchNorm2d(4 * growth), nn.ReLU(), nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.layers(x), x], 1)


class DenseNet121(ClassifierNetwork):
    """DenseNet-121 of growth 32 and reduction 1/2 with a 3x3 stem: 6 956 298 parameters on 32x32x3 and ten classes."""

    drops = (0.0,)

    def __init__(self, event_shape: tuple[int, ...], classes: int) -> None:
        super().__init__(event_shape, classes)
        channels, _ = image(event_shape, "densenet-121", 32, 8)
        growth, width, blocks = 32, 64, (6, 12, 24, 16)
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1, bias=False)]
        for position, count in enumerate(blocks):
            for _ in range(count):
                layers.append(Dense(width, growth))
                width += growth
            if position < len(blocks) - 1:
                half = width // 2
                layers += [nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, half, 1, bias=False), nn.AvgPool2d(2)]
                width = half
        ending = (nn.BatchNorm2d(width), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.stages = nn.ModuleList([nn.Sequential(*layers, *ending)])
        self.head = nn.Linear(width, classes)


CLASSIFIERS = Table(
    "classifier", {"mnist": MnistClassifier, "small": SmallClassifier, "resnet-18": ResNet18, "densenet-121": DenseNet121}
)

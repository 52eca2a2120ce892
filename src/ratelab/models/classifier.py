"""A classifier d(y|x): a model without latents, trained once as a run of the store and then asked about other models' images.

Its rate is 0 and its distortion -log d(y|x), the cross-entropy. It has no place on the plane of the data.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ratelab.core.batch import Batch, Noise
from ratelab.core.dataset import Dataset
from ratelab.core.errors import UserError
from ratelab.core.model import Group, Model
from ratelab.core.passes import Pass
from ratelab.core.table import Node
from ratelab.distributions.categorical import Categorical
from ratelab.networks.classifiers import CLASSIFIERS, ClassifierNetwork

PADDING = 4  # pixels of 0 around an image that is cropped

NOTHING = "model 'classifier' has no latents and generates nothing; use 'bottleneck' or another model"


class Classifier(Model):
    """Predicts the label of an example; ``network``: one of the classifiers ``mnist``, ``small``, ``resnet-18``, ``densenet-121``.

    ``augment``: ``crop-flip`` moves training images by up to 4 pixels each way and mirrors every other one, anew at every look.
    """

    target = "y"
    latent_shapes = ()

    def __init__(
        self,
        dataset: Dataset,
        *,
        network: Annotated[Node, CLASSIFIERS] = "mnist",
        augment: Literal["none", "crop-flip"] = "none",
    ) -> None:
        super().__init__()
        labels = [split.y for split in (dataset.train, dataset.validation, dataset.test) if split.y is not None]
        if dataset.train.y is None:
            raise UserError(f"model 'classifier' learns from labels, and '{dataset.name}' has none; use data with labels")
        self.event_shape, self.augment = dataset.event_shape, augment
        self.classes = 1 + max(int(y.max()) for y in labels)
        self.network: ClassifierNetwork = CLASSIFIERS.build(network, self.event_shape, self.classes)  # type: ignore[arg-type]

    def forward(self, batch: Batch, noise: Noise, samples: int = 1, path: bool = True) -> Pass:
        if batch.y is None:
            return Pass(batch, torch.full_like(batch.x.flatten(1)[:, 0], torch.nan), (), None)

        def drop(values: Tensor, share: float) -> Tensor:
            if not share or not self.training:
                return values
            return values * (noise.uniform(values.shape) >= share).to(values.dtype) / (1 - share)

        x = cropped_and_flipped(batch.x, noise) if self.training and self.augment == "crop-flip" else batch.x
        return Pass(batch, batch.y, (), Categorical(self.network(x, drop)))

    def log_probs(self, x: Tensor) -> Tensor:
        """log d(y|x) of images (N, C, H, W) for all classes: (N, classes), nats."""
        return Categorical(self.network(x)).log_probs

    def features(self, x: Tensor) -> Tensor:
        """What the head sees of images (N, C, H, W): (N, F)."""
        return self.network.features(x)

    def generate(self, n: int, noise: Noise) -> Pass:
        raise UserError(NOTHING)

    def log_joint(self, x: Tensor, z: tuple[Tensor, ...]) -> Tensor:
        raise UserError(NOTHING)

    def decode(self, z: tuple[Tensor, ...]) -> Tensor:
        raise UserError(NOTHING)

    def group(self, which: Group) -> Iterator[nn.Parameter]:
        return iter(()) if which == "inference" else self.parameters()


def cropped_and_flipped(x: Tensor, noise: Noise) -> Tensor:
    """Each image of (B, C, H, W) as a window at a random place of the image with a border of zeros, or that window's mirror image."""
    down, right, mirrored = noise.uniform((3, len(x), 1))
    places = 2 * PADDING + 1
    rows = (places * down).long() + torch.arange(x.shape[-2], device=x.device)
    columns = (places * right).long() + torch.arange(x.shape[-1], device=x.device)
    columns = torch.where(mirrored < 0.5, columns, columns.flip(-1))
    wide = F.pad(x, (PADDING,) * 4)
    images, channels = torch.arange(len(x), device=x.device), torch.arange(x.shape[1], device=x.device)
    return wide[images.view(-1, 1, 1, 1), channels.view(1, -1, 1, 1), rows[:, None, :, None], columns[:, None, None, :]]

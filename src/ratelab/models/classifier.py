"""A classifier d(y|x): a model without latents, trained once as a run of the store and then asked about other models' images.

Its rate is 0 and its distortion -log d(y|x), the cross-entropy. It has no place on the plane of the data.
"""

from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor, nn

from ratelab.core.batch import Batch, Noise
from ratelab.core.dataset import Dataset
from ratelab.core.errors import UserError
from ratelab.core.model import Group, Model
from ratelab.core.passes import Pass
from ratelab.core.table import Node
from ratelab.distributions.categorical import Categorical
from ratelab.networks.classifiers import CLASSIFIERS, ClassifierNetwork

NOTHING = "model 'classifier' has no latents and generates nothing; use 'bottleneck' or another model"


class Classifier(Model):
    """Predicts the label of an example; ``network``: one of the classifiers ``mnist``, ``small``, ``resnet-18``, ``densenet-121``."""

    target = "y"
    latent_shapes = ()

    def __init__(self, dataset: Dataset, *, network: Annotated[Node, CLASSIFIERS] = "mnist") -> None:
        super().__init__()
        labels = [split.y for split in (dataset.train, dataset.validation, dataset.test) if split.y is not None]
        if dataset.train.y is None:
            raise UserError(f"model 'classifier' learns from labels, and '{dataset.name}' has none; use data with labels")
        self.event_shape = dataset.event_shape
        self.classes = 1 + max(int(y.max()) for y in labels)
        self.network: ClassifierNetwork = CLASSIFIERS.build(network, self.event_shape, self.classes)  # type: ignore[arg-type]

    def forward(self, batch: Batch, noise: Noise, samples: int = 1, path: bool = True) -> Pass:
        if batch.y is None:
            return Pass(batch, torch.full_like(batch.x.flatten(1)[:, 0], torch.nan), (), None)

        def drop(values: Tensor, share: float) -> Tensor:
            if not share or not self.training:
                return values
            return values * (noise.uniform(values.shape) >= share).to(values.dtype) / (1 - share)

        return Pass(batch, batch.y, (), Categorical(self.network(batch.x, drop)))

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

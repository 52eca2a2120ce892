"""FID on the 2048 features of an Inception v3 whose weights the user has (Heusel et al. 2017; an option of Xiao and Bamler 2023's code).

The weights are torchvision's, trained on ImageNet. Published distances are mostly in the features of the first TensorFlow release, whose
weights differ: compare only what was measured with the same file.
"""

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ratelab.core.batch import Batch, Noise
from ratelab.core.errors import UserError
from ratelab.core.estimator import Estimator, Needs, Result
from ratelab.core.model import Model
from ratelab.core.passes import Pass
from ratelab.estimators.judged import FEWEST, Frechet, drawn_images
from ratelab.networks.inception_v3 import InceptionV3, read_inception

CHUNK = 25  # images of 299x299 at a time: about half a gigabyte


class InceptionDistance(Estimator):
    """``fid_inception``: the Frechet distance of Inception v3 features of the examples and of ``samples`` draws of the model.

    ``weights``: the path of a safetensors file of torchvision's ``inception_v3``. Every image takes 12 GFLOP.
    """

    needs = Needs(examples=2)  # for a covariance

    def __init__(self, *, weights: str = "", samples: Annotated[int, Field(ge=FEWEST)] = 10_000) -> None:
        self.weights, self.samples = weights, samples
        self.network: InceptionV3 | None = None
        self.distance = Frechet()

    def check(self, model: Model, seen: Pass) -> None:
        if not self.weights:
            raise UserError(
                "estimator 'fid-inception' needs 'weights', the path of a safetensors file of torchvision's inception_v3; or use 'fid'"
            )
        x, shape = seen.batch.x, model.event_shape
        images = len(shape) == 3 and shape[0] in (1, 3) and float(x.min()) >= 0 and float(x.max()) <= 1
        if model.target == "y" or not images:
            raise UserError(
                "estimator 'fid-inception' looks at images of 1 or 3 channels in [0, 1], which these are not; leave it out"
            )
        read_inception(self.weights)

    def features(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 2048)."""
        self.network = self.network or read_inception(self.weights).to(x.device)
        return torch.cat([self.network(part) for part in x.float().split(CHUNK)])

    def observe(self, model: Model, batch: Batch, noise: Noise) -> None:
        self.distance.see(self.features(batch.x))
        if self.distance.drawn is None:
            self.distance.drawn = torch.cat([self.features(x) for x in drawn_images(model, self.samples, noise)])

    def merge(self, other: Estimator) -> None:
        assert isinstance(other, InceptionDistance)
        self.distance.merge(other.distance)

    def result(self) -> Mapping[str, Result]:
        return {"fid_inception": self.distance.result("Frechet distance of draws to examples in 2048 features of Inception v3")}

"""What a classifier says about a model's images (Xiao and Bamler 2023, sections 5.4-5.5 and public code).

The classifier is trained on the same data as a run of the store (its recipe is the option ``classifier``) and comes as a helper. Images
are decoder means: of draws of the model for scores of generation, of modes for reconstructions.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Protocol

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ratelab.core.batch import Batch, ModeNoise, Noise
from ratelab.core.errors import UserError
from ratelab.core.estimate import Bound, Estimate
from ratelab.core.estimator import Estimator, Needs, Result
from ratelab.core.model import Model
from ratelab.core.passes import Pass
from ratelab.core.reference import X23, Reference
from ratelab.core.units import COUNT
from ratelab.divergences.frechet import frechet, moments
from ratelab.divergences.inception import inception
from ratelab.estimators.averages import Column, mean_of

RECIPE = "xiao2023/mnist-classifier"
CHUNK = 200  # images drawn and judged at a time
FEWEST = 10  # draws, so that each split has one


class Judge(Protocol):
    """A trained classifier of images (N, C, H, W)."""

    event_shape: tuple[int, ...]
    classes: int

    def log_probs(self, x: Tensor) -> Tensor: ...

    def features(self, x: Tensor) -> Tensor: ...


class Judged(Estimator):
    """What the estimators here share: the helper, and that it fits the model's images."""

    judge: Judge
    name: str

    def check(self, model: Model, seen: Pass) -> None:
        if seen.decoder is None or model.target != "x":
            raise UserError(
                f"estimator '{self.name}' judges images that a decoder makes, and this model has none; leave it out"
            )
        if self.judge.event_shape != model.event_shape:
            raise UserError(
                f"estimator '{self.name}': the classifier takes examples of shape {self.judge.event_shape}, the model makes"
                f" {model.event_shape}; name a classifier of this data"
            )


def drawn_images(model: Model, n: int, noise: Noise) -> list[Tensor]:
    """``n`` decoder means of draws of the model, a chunk at a time."""
    images = []
    for start in range(0, n, CHUNK):
        drawn = model.generate(min(CHUNK, n - start), noise)
        images.append(drawn.target if drawn.decoder is None else drawn.decoder.mean[0])
    return images


class InceptionScore(Judged):
    """``inception_score`` and its factors ``diversity`` and ``sharpness``; mean and spread over ``splits`` of ``samples`` draws."""

    name = "inception-score"
    references = (Reference(X23, "eq. 12"),)
    needs = Needs(labels=True, helper="classifier")

    def __init__(
        self,
        judge: Judge,
        *,
        classifier: str = RECIPE,
        samples: Annotated[int, Field(ge=FEWEST)] = 10_000,
        splits: Annotated[int, Field(ge=2, le=FEWEST)] = 5,
    ) -> None:
        self.judge, self.samples, self.splits = judge, samples, splits
        self.log_probs: Tensor | None = None

    def observe(self, model: Model, batch: Batch, noise: Noise) -> None:
        if self.log_probs is None:  # once: the score is of the model alone, not of the examples
            self.log_probs = torch.cat([self.judge.log_probs(x) for x in drawn_images(model, self.samples, noise)])

    def merge(self, other: Estimator) -> None:
        """Nothing: both drew from the same model."""

    def result(self) -> Mapping[str, Result]:
        assert self.log_probs is not None
        found = inception(self.log_probs, self.splits)
        parts = {
            "inception_score": (found.score, "Inception score of draws (diversity times sharpness)"),
            "diversity": (found.diversity, "exp of the entropy of the mean prediction"),
            "sharpness": (found.sharpness, "exp of minus the mean entropy of predictions"),
        }
        return {name: self._over_splits(values, of) for name, (values, of) in parts.items()}

    def _over_splits(self, values: Tensor, of: str) -> Estimate:
        error = float(values.std()) / math.sqrt(self.splits)
        return Estimate(float(values.mean()), error, self.samples, of=of, bound="estimate", unit=COUNT)


@dataclass
class Frechet:
    """Features of the examples, batch by batch, and of draws, once: the distance of the two sets."""

    seen: list[Tensor] = field(default_factory=list)
    drawn: Tensor | None = None

    def see(self, features: Tensor) -> None:
        """Features (B, F) of one batch of examples."""
        self.seen.append(features)

    def merge(self, other: "Frechet") -> None:
        """What other examples' features were; draws are of the same model."""
        self.seen.extend(other.seen)

    def result(self, of: str) -> Estimate:
        assert self.drawn is not None
        value = frechet(moments(torch.cat(self.seen)), moments(self.drawn))
        return Estimate(value, math.nan, len(self.drawn), of=of, bound="estimate", unit=COUNT)


class FrechetDistance(Judged):
    """``fid``: the Frechet distance of the classifier's features of the examples and of ``samples`` draws of the model.

    In the features of our own classifier: not comparable with distances in others'.
    """

    name = "fid"
    references = (Reference(X23, "public code"),)
    needs = Needs(labels=True, helper="classifier", examples=2)  # for a covariance

    def __init__(self, judge: Judge, *, classifier: str = RECIPE, samples: Annotated[int, Field(ge=FEWEST)] = 10_000) -> None:
        self.judge, self.samples = judge, samples
        self.distance = Frechet()

    def observe(self, model: Model, batch: Batch, noise: Noise) -> None:
        self.distance.see(self.judge.features(batch.x))
        if self.distance.drawn is None:
            self.distance.drawn = torch.cat([self.judge.features(x) for x in drawn_images(model, self.samples, noise)])

    def merge(self, other: Estimator) -> None:
        assert isinstance(other, FrechetDistance)
        self.distance.merge(other.distance)

    def result(self) -> Mapping[str, Result]:
        return {"fid": self.distance.result("Frechet distance of draws to examples in the classifier's features")}


class Recognised(Judged):
    """``reconstruction_accuracy`` and ``reconstruction_entropy`` (nats): what the classifier makes of mode reconstructions."""

    name = "reconstruction-accuracy"
    references = (Reference(X23, "public code"),)
    needs = Needs(labels=True, helper="classifier")

    def __init__(self, judge: Judge, *, classifier: str = RECIPE) -> None:
        self.judge = judge
        self.right, self.entropy = Column(), Column()

    def observe(self, model: Model, batch: Batch, noise: Noise) -> None:
        seen = model(batch, ModeNoise(device=batch.x.device, dtype=batch.x.dtype))
        assert seen.decoder is not None
        assert batch.y is not None
        log_probs = self.judge.log_probs(seen.decoder.mean[0])
        self.right.add(log_probs.argmax(-1).eq(batch.y))
        self.entropy.add(-(log_probs.exp() * log_probs).sum(-1))

    def merge(self, other: Estimator) -> None:
        assert isinstance(other, Recognised)
        self.right.merge(other.right)
        self.entropy.merge(other.entropy)

    def per_example(self) -> Mapping[str, np.ndarray]:
        return {"recognised": self.right.values, "reconstruction_entropy": self.entropy.values}

    def result(self) -> Mapping[str, Result]:
        bound: Bound = "estimate"
        return {
            "reconstruction_accuracy": mean_of(
                self.right.values, "classifier's accuracy on mode reconstructions", bound, unit=COUNT
            ),
            "reconstruction_entropy": mean_of(self.entropy.values, "classifier's entropy on mode reconstructions", bound),
        }

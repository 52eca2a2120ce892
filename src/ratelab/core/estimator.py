"""The contract of an estimator: what is measured about a trained model, and on which side of the truth it lies."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ratelab.core.batch import Batch, Noise
from ratelab.core.estimate import Estimate
from ratelab.core.model import Model
from ratelab.core.passes import Pass

Result = Estimate | list[Estimate]


@dataclass(frozen=True)
class Needs:
    """What an estimator asks for: labels, a likelihood, a density of the encoder, or a trained helper by name.

    ``of_examples``: of a model that decodes the examples x, not their labels or codes. ``training``: it also looks at ``some`` training
    examples, evenly spaced and as many as the split has, or at ``all`` training and validation examples. ``examples``: how many the split
    must have. ``of_one_layer``: the estimator that says the same of one layer of latents.
    """

    labels: bool = False
    likelihood: bool = True
    of_examples: bool = False
    helper: str | None = None
    training: Literal["none", "some", "all"] = "none"
    examples: int = 1
    of_one_layer: str | None = None


class Estimator(ABC):
    """Sees every batch of a split once. Instances on disjoint parts of the data merge into one."""

    needs: Needs = Needs()

    def check(self, model: Model, seen: Pass) -> None:  # noqa: B027 (most need nothing)
        """:class:`~ratelab.core.errors.UserError` where the model lacks what this needs; ``seen``: its pass over a few examples.

        Asked before anything is trained or measured.
        """

    @abstractmethod
    def observe(self, model: Model, batch: Batch, noise: Noise) -> None:
        """Look at one batch; nothing is averaged before :meth:`result`."""

    @classmethod
    def lesson(cls, node: Mapping[str, Any], examples: int) -> Mapping[str, Any] | None:
        """The sections of the recipe by which its helper learns about the model that is measured; None where it has a recipe by name.

        ``node``: the estimator's options; ``examples``: how many the split that the helper learns from has. Of the section ``model`` the
        option ``of``, which run it learns about, is filled in by who makes the helper.
        """
        return None

    def observe_training(self, model: Model, batch: Batch, noise: Noise, examples: int) -> None:
        """Look at a batch of training examples, before any of the split that is measured; ``examples``: how many a model learns from."""
        raise NotImplementedError

    @abstractmethod
    def merge(self, other: "Estimator") -> None:
        """Take in what another instance of the same class saw."""

    @abstractmethod
    def result(self) -> Mapping[str, Result]:
        """Named estimates; a list where there is one per layer, top layer first."""

    def per_example(self) -> Mapping[str, np.ndarray]:
        """Arrays with one row per example, in the order seen, for paired comparisons; empty when there are none."""
        return {}

"""The contract of an estimator: what is measured about a trained model, and on which side of the truth it lies."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ratelab.core.batch import Batch, Noise
from ratelab.core.estimate import Estimate
from ratelab.core.model import Model
from ratelab.core.passes import Pass

Result = Estimate | list[Estimate]


@dataclass(frozen=True)
class Needs:
    """What an estimator asks for: labels, a likelihood, a density of the encoder, or a trained helper by name."""

    labels: bool = False
    likelihood: bool = True
    helper: str | None = None


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

    @abstractmethod
    def merge(self, other: "Estimator") -> None:
        """Take in what another instance of the same class saw."""

    @abstractmethod
    def result(self) -> Mapping[str, Result]:
        """Named estimates; a list where there is one per layer, top layer first."""

    def per_example(self) -> Mapping[str, np.ndarray]:
        """Arrays with one row per example, in the order seen, for paired comparisons; empty when there are none."""
        return {}

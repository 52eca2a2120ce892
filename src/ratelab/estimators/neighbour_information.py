"""What each layer's draws say about the label, by nearest neighbours (Gao et al. 2017; an option of Xiao and Bamler 2023's public code)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ratelab.core.batch import Batch, Noise
from ratelab.core.codes import represented
from ratelab.core.errors import UserError
from ratelab.core.estimator import Estimator, Needs, Result
from ratelab.core.model import Model
from ratelab.core.passes import Pass
from ratelab.core.reference import X23, Reference
from ratelab.divergences.nearest_neighbours import mixed_ksg_terms
from ratelab.estimators.averages import mean_of


class NeighbourInformation(Estimator):
    """``neighbour_information``, I(y; z_l) in nats for each layer by itself, top first, from one draw of each example.

    ``neighbours``: k, in the maximum norm; draws of other labels count as infinitely far. ``limit``: only that many examples, the
    first ones (all pairs are compared where dimensions are many). No side is guaranteed; it falls short in high dimensions.
    """

    references = (Reference(X23, "public code"),)
    needs = Needs(labels=True, likelihood=False)

    def __init__(
        self, *, neighbours: Annotated[int, Field(ge=1)] = 5, limit: Annotated[int, Field(ge=2)] | None = 2000
    ) -> None:
        self.neighbours, self.limit = neighbours, limit
        self.needs = replace(type(self).needs, examples=neighbours + 1)
        self.latents: list[list[Tensor]] = []
        self.labels: list[Tensor] = []

    def check(self, model: Model, seen: Pass) -> None:
        if not represented(seen) or seen.weights is not None:
            raise UserError("estimator 'neighbour-information' compares sampled latents, and this model has none; leave it out")
        if self.limit is not None and self.limit <= self.neighbours:
            raise UserError(f"estimator 'neighbour-information': limit must be more than its {self.neighbours} neighbours")

    def observe(self, model: Model, batch: Batch, noise: Noise) -> None:
        assert batch.y is not None
        self.latents.append([layer.z[0].flatten(1).cpu() for layer in represented(model(batch, noise))])
        self.labels.append(batch.y.cpu())

    def merge(self, other: Estimator) -> None:
        assert isinstance(other, NeighbourInformation)
        self.latents.extend(other.latents)
        self.labels.extend(other.labels)

    def result(self) -> Mapping[str, Result]:
        labels = torch.cat(self.labels)[: self.limit].numpy()
        layers = [torch.cat(parts)[: self.limit].double().numpy() for parts in zip(*self.latents, strict=True)]
        return {
            "neighbour_information": [
                mean_of(
                    label_neighbour_terms(z, labels, self.neighbours),
                    of=f"information of draws of layer {len(layers) - i} about the label",
                    bound="estimate",
                )
                for i, z in enumerate(layers)
            ]
        }


def label_neighbour_terms(z: np.ndarray, labels: np.ndarray, neighbours: int) -> np.ndarray:
    """(N,) terms whose mean is I(y; z) in nats, for draws z (N, d) and labels (N,) that are alike or not, and nothing between."""
    apart = 1.0 + 4.0 * float(np.abs(z).max(initial=0.0))  # farther than any two draws
    return mixed_ksg_terms(z, apart * labels.astype(np.float64), neighbours)

"""How well plain classifiers read the label off each layer (Xiao and Bamler 2023, section 5.6 and public code).

The latents are the modes of every layer given the modes above, of the very examples that are measured; they are shuffled by a fixed
permutation and the last fifth is held out. No feature is scaled, and everything else is scikit-learn's default.
"""

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ratelab.core.batch import Batch, ModeNoise, Noise
from ratelab.core.codes import represented
from ratelab.core.errors import UserError
from ratelab.core.estimate import Estimate
from ratelab.core.estimator import Estimator, Needs, Result
from ratelab.core.model import Model
from ratelab.core.passes import Pass
from ratelab.core.reference import X23, Reference
from ratelab.core.units import COUNT

Kind = Literal["logistic", "linear-svm", "rbf-svm", "knn"]
Array = NDArray[Any]
SEED, HELD_OUT, REPEATS = 42, 0.2, 5
FEWEST = 10  # examples, of which two are held out


def split(n: int) -> tuple[Array, Array]:
    """Rows to train on and rows held out: the permutation of seed 42, its last fifth held out.

    >>> [len(part) for part in split(100)]
    [80, 20]
    """
    order = np.random.RandomState(SEED).permutation(n)
    return order[: n - int(HELD_OUT * n)], order[n - int(HELD_OUT * n) :]


def classifiers() -> dict[Kind, Callable[[], list[Any]]]:
    """The classifiers of each kind, whose accuracies are averaged: logistic regression by SAGA with five seeds, the others one."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC

    return {
        "logistic": lambda: [LogisticRegression(solver="saga", random_state=seed) for seed in range(REPEATS)],
        "linear-svm": lambda: [SVC(kernel="linear")],
        "rbf-svm": lambda: [SVC(kernel="rbf")],
        "knn": lambda: [KNeighborsClassifier(n_neighbors=5)],
    }


def held_out_accuracy(kind: Kind, latents: Array, labels: Array) -> tuple[float, int]:
    """Accuracy on the held-out fifth of latents (N, \\*event), and how many examples that is."""
    train, test = split(len(labels))
    x = latents.reshape(len(latents), -1)
    if len(np.unique(labels[train])) < 2:
        return float((labels[test] == labels[train][0]).mean()), len(test)
    scores = []
    for classifier in classifiers()[kind]():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the protocol stops at scikit-learn's default number of iterations
            scores.append(classifier.fit(x[train], labels[train]).score(x[test], labels[test]))
    return float(np.mean(scores)), len(test)


class Downstream(Estimator):
    """``accuracy_logistic``, ``accuracy_linear_svm``, ``accuracy_rbf_svm``, ``accuracy_knn``: one per layer, top first.

    ``kinds``: which classifiers. ``drawn``: read draws of the latents instead of modes (for these the accuracy limit holds). ``limit``:
    only that many examples, the first ones; support-vector machines take minutes on tens of thousands.
    """

    references = (Reference(X23, "section 5.6, Table 1"),)
    needs = Needs(labels=True, likelihood=False, examples=FEWEST)

    def __init__(
        self,
        *,
        kinds: Annotated[tuple[Kind, ...], Field(min_length=1)] = ("logistic", "linear-svm", "rbf-svm", "knn"),
        drawn: bool = False,
        limit: Annotated[int, Field(ge=FEWEST)] | None = None,
    ) -> None:
        self.kinds, self.drawn, self.limit = kinds, drawn, limit
        self.latents: list[list[Array]] = []
        self.labels: list[Array] = []

    def check(self, model: Model, seen: Pass) -> None:
        if not represented(seen) or seen.weights is not None:
            raise UserError("estimator 'downstream' reads sampled latents, and this model has none; leave it out")

    def observe(self, model: Model, batch: Batch, noise: Noise) -> None:
        quiet = noise if self.drawn else ModeNoise(device=batch.x.device, dtype=batch.x.dtype)
        assert batch.y is not None
        self.latents.append([layer.z[0].cpu().numpy() for layer in represented(model(batch, quiet))])
        self.labels.append(batch.y.cpu().numpy())

    def merge(self, other: Estimator) -> None:
        assert isinstance(other, Downstream)
        self.latents.extend(other.latents)
        self.labels.extend(other.labels)

    def result(self) -> Mapping[str, Result]:
        labels = np.concatenate(self.labels)[: self.limit]
        layers = [np.concatenate(parts)[: self.limit] for parts in zip(*self.latents, strict=True)]
        return {f"accuracy_{kind.replace('-', '_')}": self._rows(kind, layers, labels) for kind in self.kinds}

    def _rows(self, kind: Kind, layers: list[Array], labels: Array) -> list[Estimate]:
        what = "draws" if self.drawn else "modes"
        rows = []
        for i, latents in enumerate(layers):
            accuracy, n = held_out_accuracy(kind, latents, labels)
            of = f"held-out accuracy of {kind} on {what} of layer {len(layers) - i}"
            rows.append(Estimate(accuracy, math.sqrt(accuracy * (1 - accuracy) / n), n, of=of, bound="estimate", unit=COUNT))
        return rows

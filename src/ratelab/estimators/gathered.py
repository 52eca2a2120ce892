"""Costly estimators of one example in so many: what few examples of each batch there are is worked on together.

Chains of a handful of examples keep a machine no busier than those of a few hundred, so examples wait until there are as many as a batch
has. Memory is what a batch asks for, and at most one batch's share more.
"""

from abc import abstractmethod

import torch
from torch import Tensor

from ratelab.core.batch import Batch, Noise
from ratelab.core.estimator import Estimator, Needs
from ratelab.core.model import Model
from ratelab.estimators.latent_paths import enough, thinned


class Gathered(Estimator):
    """Measures one example in ``every``. Subclasses call :meth:`finish` before they look at what was found.

    With ``every`` 1 each batch is worked on as it comes, with the noise that it would have drawn without waiting.
    """

    needs = Needs(of_examples=True)

    def __init__(self, every: int) -> None:
        self.every = every
        self.needs = enough(type(self).needs, every)
        self.waiting: list[Tensor] = []
        self.model: Model | None = None
        self.noise: Noise | None = None

    @abstractmethod
    def work(self, model: Model, x: Tensor, noise: Noise) -> None:
        """Measure the examples x (n, \\*event), n >= 1."""

    def observe(self, model: Model, batch: Batch, noise: Noise) -> None:
        self.model, self.noise = model, noise
        self.waiting.append(thinned(batch, self.every))
        if sum(map(len, self.waiting)) >= batch.size:
            self.finish()

    def merge(self, other: Estimator) -> None:
        assert isinstance(other, Gathered)
        self.model, self.noise = self.model or other.model, self.noise or other.noise
        self.waiting.extend(other.waiting)

    def finish(self) -> None:
        """Work on all that waits."""
        waiting, self.waiting = self.waiting, []
        if any(map(len, waiting)):
            assert self.model is not None
            assert self.noise is not None
            self.work(self.model, torch.cat(waiting), self.noise)

"""What the top layer's latents say about the label, and the accuracy that this allows (Xiao and Bamler 2023, eq. 10-11, section 5.6).

I_q(y; z) = E_{q(y,z)}[log q(z|y) - log q(z)] with q(z|y=c) the mean of q(z|x_n) over the examples of class c, and q(z) over all. Every
draw is scored under every posterior, by one matrix product for each class: N^2 scores, of which a few hundred rows exist at a time.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ratelab.core.batch import Batch, Noise
from ratelab.core.errors import UserError
from ratelab.core.estimate import Estimate
from ratelab.core.estimator import Estimator, Needs, Result
from ratelab.core.model import Model
from ratelab.core.passes import Pass
from ratelab.core.reference import X23, Reference
from ratelab.core.units import COUNT
from ratelab.distributions.gaussians import DiagonalGaussian
from ratelab.distributions.mixtures import GaussianMixture
from ratelab.estimators.averages import mean_of
from ratelab.exact.accuracy import highest_accuracy, label_entropy


def class_log_densities(z: Tensor, posteriors: DiagonalGaussian, labels: Tensor, classes: int) -> Tensor:
    """log q(z|y=c) for draws z (N, d) under the mixtures of ``posteriors`` (batch shape (N,)) by class: (N, classes), float64.

    -inf for a class without examples. float64 throughout: the expanded square loses digits where posteriors are narrow, and is
    no slower in float64, whose exponentials meet no denormals.
    """
    loc = posteriors.loc.double()
    log_scale = posteriors.log_scale.double().expand(loc.shape)
    columns = []
    for label in range(classes):
        mine = labels == label
        count = int(mine.sum())
        if not count:
            columns.append(loc.new_full((len(z),), -torch.inf))
            continue
        parts = DiagonalGaussian(loc[mine], log_scale=log_scale[mine])
        columns.append(GaussianMixture(loc.new_zeros(count), parts).log_prob(z.double()))
    return torch.stack(columns, -1)


def label_terms(log_densities: Tensor, labels: Tensor) -> Tensor:
    """log q(z_n|y_n) - log q(z_n) for each draw, (N,) nats, from :func:`class_log_densities`; their mean is I_q(y; z)."""
    counts = torch.bincount(labels, minlength=log_densities.shape[-1]).to(log_densities)
    total = torch.logsumexp(log_densities + (counts / counts.sum()).log(), -1)
    return log_densities.gather(-1, labels.unsqueeze(-1)).squeeze(-1) - total


class LabelInformation(Estimator):
    """``label_information``, I_q(y; z_L) in nats, and ``accuracy_limit``: no classifier of draws of z_L is more accurate.

    The mixtures are over the examples measured, one draw each; where posteriors are narrow the draw's own posterior dominates and
    the estimate errs upwards, up to H[y].
    """

    references = (Reference(X23, "eq. 10-11, section 5.6"),)
    needs = Needs(labels=True, likelihood=False)

    def __init__(self) -> None:
        self.rows: list[tuple[torch.Tensor, ...]] = []

    def check(self, model: Model, seen: Pass) -> None:
        law = seen.layers[0].encoder if seen.layers else None
        if not isinstance(law, DiagonalGaussian) or len(law.batch_shape) != 1 or len(law.event_shape) != 1:
            raise UserError(
                "estimator 'label-information' needs a top layer that is a diagonal Gaussian of a vector given x alone; leave it out"
            )

    def observe(self, model: Model, batch: Batch, noise: Noise) -> None:
        top = model(batch, noise).layers[0]
        law = top.encoder
        assert isinstance(law, DiagonalGaussian)
        assert batch.y is not None
        self.rows.append((top.z[0], law.loc, law.log_scale.expand(law.loc.shape), batch.y))

    def merge(self, other: Estimator) -> None:
        assert isinstance(other, LabelInformation)
        self.rows.extend(other.rows)

    def per_example(self) -> Mapping[str, np.ndarray]:
        return {"label_information": self._terms()[0]}

    def _terms(self) -> tuple[np.ndarray, list[int]]:
        z, loc, log_scale, labels = (torch.cat(parts) for parts in zip(*self.rows, strict=True))
        classes = int(labels.max()) + 1
        densities = class_log_densities(z, DiagonalGaussian(loc, log_scale=log_scale), labels, classes)
        counts = [c for c in torch.bincount(labels).tolist() if c]
        return label_terms(densities, labels).cpu().numpy(), counts

    def result(self) -> Mapping[str, Result]:
        terms, counts = self._terms()
        information = mean_of(terms, of="information of the top layer's draws about the label", bound="estimate")
        of = "accuracy of any classifier of the top layer's draws"
        return {"label_information": information, "accuracy_limit": accuracy_limit(information, counts, of)}


def accuracy_limit(information: Estimate, counts: list[int], of: str) -> Estimate:
    """f^-1 of an information about labels that come ``counts`` times each: the most that a classifier can be right.

    An estimate below 0 counts as 0, which every information is at least. The standard error is the larger of the steps that one of the
    information's makes, up or down: f^-1 is flat beyond both ends.
    """
    entropy, classes = label_entropy(counts), len(counts)
    if classes < 2:
        return Estimate(1.0, 0.0, information.n, of=of, bound="upper", unit=COUNT)
    nats, error = max(information.value, 0.0), information.stderr
    limit, above, below = (highest_accuracy(nats + step, classes, entropy) for step in (0.0, error, -error))
    return Estimate(limit, max(above - limit, limit - below), information.n, of=of, bound="upper", unit=COUNT)

"""What a layer's latents and those above it say about the label (Xiao and Bamler 2023, eq. 10-11, below the top layer).

The marginal posterior q(z_l|x) of a lower layer is an integral over the layers above, but the density of the whole path is a product,

    q(z_>=l | x) = q(z_L|x) ... q(z_l | z_>l, x) ,

so it is I_q(y; z_>=l) that mixtures over examples estimate, as for the top layer alone. With the data processing inequality,

    I_q(y; z_l) <= I_q(y; z_>=l) <= I_q(x; z_>=l) <= R(z_>=l) ,

so f^-1(I_q(y; z_>=l)) limits the accuracy of any classifier of draws of z_l, and of all the layers together.
"""

import math
from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ratelab.core.batch import Batch, Noise
from ratelab.core.codes import represented
from ratelab.core.estimate import Estimate
from ratelab.core.estimator import Estimator, Needs, Result
from ratelab.core.model import Model
from ratelab.core.passes import Pass
from ratelab.core.reference import X23, Reference
from ratelab.estimators.averages import mean_of
from ratelab.estimators.kept_paths import KeptPaths, check_paths, scored_pairs
from ratelab.estimators.label_information import accuracy_limit, label_terms


class JointLabelInformation(Estimator):
    """``joint_label_information``, I_q(y; z_>=l) in nats for each layer with all above it, top first, and ``joint_accuracy_limit``.

    ``examples``: of how many, drawn at random, each has its draw scored under all others' posteriors, by as many passes through the
    encoders squared. Errs upwards, up to H[y], where posteriors are narrow and the draw's own dominates.
    """

    references = (Reference(X23, "eq. 10-11"),)
    needs = Needs(labels=True, likelihood=False, of_one_layer="label-information")

    def __init__(self, *, examples: Annotated[int, Field(ge=2, le=100_000)] = 500) -> None:
        self.model: Model | None = None
        self.paths = KeptPaths(examples)

    def check(self, model: Model, seen: Pass) -> None:
        check_paths(model, seen, "joint-label-information")

    def observe(self, model: Model, batch: Batch, noise: Noise) -> None:
        assert batch.y is not None
        self.model = model
        order = noise.uniform((batch.size,))
        self.paths.keep(order, (batch.x, batch.y, *(layer.z[0] for layer in represented(model(batch, noise)))))

    def merge(self, other: Estimator) -> None:
        assert isinstance(other, JointLabelInformation)
        self.model = self.model or other.model
        self.paths.merge(other.paths)

    def result(self) -> Mapping[str, Result]:
        assert self.model is not None
        x, labels, *z = self.paths.rows
        densities = path_log_densities(self.model, x, labels, tuple(z))
        counts = [c for c in torch.bincount(labels).tolist() if c]
        information: list[Estimate] = []
        for i, layer in enumerate(densities):
            of = f"information of draws of layers {len(z)} to {len(z) - i} about the label" if i else TOP
            information.append(mean_of(label_terms(layer, labels).cpu().numpy(), of=of, bound="estimate"))
        limits = [
            accuracy_limit(estimate, counts, f"accuracy of any classifier of draws of layer {len(z) - i}")
            for i, estimate in enumerate(information)
        ]
        return {"joint_label_information": information, "joint_accuracy_limit": limits}


TOP = "information of the top layer's draws about the label"


def path_log_densities(model: Model, x: Tensor, labels: Tensor, z: tuple[Tensor, ...]) -> Tensor:
    """log q(z_>=l | y=c) of paths z (N, \\*event_l each, top first) under the mixtures of examples x (N, \\*event) by class.

    (L, N, classes), nats, float64; -inf for a class without examples.
    """
    classes = int(labels.max()) + 1
    parts = []
    for joint in scored_pairs(model, x, z):
        columns = []
        for label in range(classes):
            mine = labels == label
            count = int(mine.sum())
            absent = joint.new_full(joint.shape[:-1], -torch.inf)
            columns.append(joint[..., mine].logsumexp(-1) - math.log(count) if count else absent)
        parts.append(torch.stack(columns, -1))
    return torch.cat(parts, -2)

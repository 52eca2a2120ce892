"""ELBO surgery layer by layer: Rosca et al. 2018, eq. 5, of the rates of Xiao and Bamler 2023, eq. 6-7.

The rate of a layer with all above it splits as that of the top layer does,

    R(z_>=l) = I_q(x; z_>=l) + KL(q(z_>=l) || m(z_>=l)) ,    q(z_>=l) = E_x e(z_L|x) ... e(z_l | z_>l, x) .

Both parts grow from layer to layer, by I_q(x; z_l | z_>l) and by E KL(q(z_l | z_>l) || m(z_l | z_>l)). They are estimated with q the
mixture over N examples, once with each draw's own among them and once without.
"""

import math
from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ratelab.core.batch import Batch, Noise
from ratelab.core.codes import represented
from ratelab.core.estimate import Bound
from ratelab.core.estimator import Estimator, Needs, Result
from ratelab.core.model import Model
from ratelab.core.passes import Pass
from ratelab.core.reference import HOFFMAN16, R18, X23, Reference
from ratelab.estimators.averages import mean_of
from ratelab.estimators.kept_paths import KeptPaths, check_paths, scored_pairs


class JointMarginalKL(Estimator):
    """``joint_marginal_kl`` and ``joint_information``, top layer first, each with its bound from the other side, as of ``marginal-kl``.

    ``examples``: N, drawn at random; each one's draw is scored under all of them, by as many passes through the encoders squared.
    """

    references = (Reference(R18, "eq. 5 and Alg. 2"), Reference(X23, "eq. 6-7"), Reference(HOFFMAN16))
    needs = Needs(likelihood=False, examples=2, of_one_layer="marginal-kl")  # one example is left out

    def __init__(self, *, examples: Annotated[int, Field(ge=2, le=100_000)] = 500) -> None:
        self.model: Model | None = None
        self.paths = KeptPaths(examples)

    def check(self, model: Model, seen: Pass) -> None:
        check_paths(model, seen, "joint-marginal-kl")

    def observe(self, model: Model, batch: Batch, noise: Noise) -> None:
        self.model = model
        layers = represented(model(batch, noise))
        log_marginals = torch.stack([layer.log_marginal[0].double() for layer in layers], -1)
        self.paths.keep(noise.uniform((batch.size,)), (batch.x, log_marginals, *(layer.z[0] for layer in layers)))

    def merge(self, other: Estimator) -> None:
        assert isinstance(other, JointMarginalKL)
        self.model = self.model or other.model
        self.paths.merge(other.paths)

    def result(self) -> Mapping[str, Result]:
        x, log_marginals, *z = self.paths.rows
        assert self.model is not None
        own, within, without = mixtures(self.model, x, tuple(z))
        marginal = log_marginals.mT.cumsum(0)
        last = len(z)

        def rows(values: Tensor, what: str, bound: Bound) -> Result:
            names = [
                "" if last == 1 else f" of layer{f' {last}' if i == 0 else f's {last} to {last - i}'}" for i in range(last)
            ]
            return [mean_of(row, what + name, bound) for row, name in zip(values.cpu().numpy(), names, strict=True)]

        divergence, information = "KL(q(z) || m(z))", "information I_e between x and z"
        return {
            "joint_marginal_kl": rows(within - marginal, divergence, "upper"),
            "joint_marginal_kl_lower": rows(without - marginal, divergence, "lower"),
            "joint_information": rows(own - within, information, "lower"),
            "joint_information_upper": rows(own - without, information, "upper"),
        }


def mixtures(model: Model, x: Tensor, z: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """log q(z_>=l) of each example's path by its own encoders, by the mixture over all, and by that over all others: (L, N) each, nats."""
    own, within, without, first = [], [], [], 0
    for scores in scored_pairs(model, x, z):
        diagonal = scores.diagonal(first, -2, -1)
        others = scores.diagonal_scatter(torch.full_like(diagonal, -torch.inf), first, -2, -1)
        own.append(diagonal)
        within.append(scores.logsumexp(-1) - math.log(len(x)))
        without.append(others.logsumexp(-1) - math.log(len(x) - 1))
        first += scores.shape[-2]
    return torch.cat(own, -1), torch.cat(within, -1), torch.cat(without, -1)

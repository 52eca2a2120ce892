"""KL(q(z) || m(z)) from below by a density model of the codes (Rosca et al. 2018, Alg. 4).

E_q[log q_psi(z) - log m(z)] = KL(q || m) - KL(q || q_psi) <= KL(q || m) for every density q_psi that has not seen the draws z it is asked
about: it is fitted to codes of training examples, and measured on codes of others, drawn anew.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from ratelab.core.batch import Batch, Noise
from ratelab.core.codes import divergence_of
from ratelab.core.errors import UserError
from ratelab.core.estimator import Estimator, Needs, Result
from ratelab.core.model import Model
from ratelab.core.passes import Pass
from ratelab.core.reference import R18, Reference
from ratelab.estimators.averages import Column, mean_of
from ratelab.estimators.lacks import check_codes
from ratelab.estimators.lessons import Count, Rate, Seed, sections

Widths = tuple[Count, ...]


class DensityOfCodes(Protocol):
    """A fitted density of codes (\\*lead, d)."""

    def log_prob(self, z: Tensor) -> Tensor: ...


class DensityModelKL(Estimator):
    """What the three density models share; ``family`` names the estimator, ``law`` turns its options into a marginal's."""

    family: str
    references = (Reference(R18, "Alg. 4, App. E.3"),)
    needs = Needs(likelihood=False, helper="density of codes")

    def __init__(self, density: DensityOfCodes) -> None:
        self.density, self.gained, self.of = density, Column(), ""

    @staticmethod
    @abstractmethod
    def law(node: Mapping[str, Any]) -> dict[str, Any]:
        """The law that is fitted, as a node of the marginals."""

    @classmethod
    def lesson(cls, node: Mapping[str, Any], examples: int) -> Mapping[str, Any]:
        model = {"name": "code-density", "law": cls.law(node)}
        return sections(model, {"name": "beta"}, {"constant": 0.5, "clip": 100.0}, node, examples)

    def check(self, model: Model, seen: Pass) -> None:
        check_codes(seen, f"marginal-kl-{self.family}")

    def observe(self, model: Model, batch: Batch, noise: Noise) -> None:
        seen = model(batch, noise)
        top, self.of = seen.top, divergence_of(seen)
        self.gained.add(self.density.log_prob(top.z[0]) - top.log_marginal[0])

    def merge(self, other: Estimator) -> None:
        assert isinstance(other, DensityModelKL)
        self.gained.merge(other.gained)

    def per_example(self) -> Mapping[str, np.ndarray]:
        return {f"marginal_kl_{self.family}": self.gained.values}

    def result(self) -> Mapping[str, Result]:
        if len(self.gained.values) < 2:
            raise UserError(
                f"estimator 'marginal-kl-{self.family}' needs at least 2 examples for a standard error; give more data or leave it out"
            )
        return {f"marginal_kl_{self.family}": mean_of(self.gained.values, self.of, "lower")}


class MixtureKL(DensityModelKL):
    """``marginal_kl_gmm``: a lower bound by a mixture of ``components`` diagonal Gaussians; tight where q(z) is one."""

    family = "gmm"

    def __init__(
        self,
        density: DensityOfCodes,
        *,
        components: Count = 100,
        lr: Rate = 5e-3,
        steps: Count = 10_000,
        batch_size: Count = 128,
        seed: Seed = 0,
    ) -> None:
        super().__init__(density)

    @staticmethod
    def law(node: Mapping[str, Any]) -> dict[str, Any]:
        return {"name": "mixture", "components": node["components"]}


class MafKL(DensityModelKL):
    """``marginal_kl_maf``: a lower bound by a masked autoregressive flow of ``layers`` affine steps, each a MADE of widths ``hidden``."""

    family = "maf"

    def __init__(
        self,
        density: DensityOfCodes,
        *,
        layers: Count = 5,
        hidden: Widths = (256, 256),
        lr: Rate = 1e-3,
        steps: Count = 10_000,
        batch_size: Count = 128,
        seed: Seed = 0,
    ) -> None:
        super().__init__(density)

    @staticmethod
    def law(node: Mapping[str, Any]) -> dict[str, Any]:
        return {"name": "maf", "steps": node["layers"], "hidden": node["hidden"], "affine": True}


class LstmKL(DensityModelKL):
    """``marginal_kl_lstm``: a lower bound by Gaussians coordinate after coordinate, from an LSTM of ``hidden`` units."""

    family = "lstm"

    def __init__(
        self,
        density: DensityOfCodes,
        *,
        hidden: Count = 128,
        lr: Rate = 2e-3,
        steps: Count = 5_000,
        batch_size: Count = 128,
        seed: Seed = 0,
    ) -> None:
        super().__init__(density)

    @staticmethod
    def law(node: Mapping[str, Any]) -> dict[str, Any]:
        return {"name": "lstm", "hidden": node["hidden"]}

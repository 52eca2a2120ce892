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
from ratelab.core.codes import Codes
from ratelab.core.estimator import Estimator, Needs, Result
from ratelab.core.model import Model
from ratelab.core.passes import Pass
from ratelab.core.reference import R18, Reference
from ratelab.estimators.averages import Column, mean_of
from ratelab.estimators.lacks import check_codes
from ratelab.estimators.lessons import Count, LayerNumber, Rate, Seed, sections

Widths = tuple[Count, ...]


class DensityOfCodes(Protocol):
    """A fitted density of codes (\\*lead, d)."""

    def log_prob(self, z: Tensor) -> Tensor: ...


class DensityModelKL(Estimator):
    """What the three density models share; ``family`` names the estimator, ``law`` turns its options into a marginal's.

    In a hierarchy ``layer``, counted from the data, is how far down the codes go: z_L to z_l together; none: the top layer. There is no
    such bound of a lower layer by itself, for m(z_l) has no density.
    """

    family: str
    references = (Reference(R18, "Alg. 4, App. E.3"),)
    needs = Needs(likelihood=False, helper="density of codes", examples=2)

    def __init__(self, density: DensityOfCodes, layer: LayerNumber) -> None:
        self.density, self.codes, self.gained = density, Codes(layer), Column()
        self.of = self.suffix = ""

    @staticmethod
    @abstractmethod
    def law(node: Mapping[str, Any]) -> dict[str, Any]:
        """The law that is fitted, as a node of the marginals."""

    @classmethod
    def lesson(cls, node: Mapping[str, Any], examples: int) -> Mapping[str, Any]:
        model = {"name": "code-density", "law": cls.law(node), "layer": node["layer"]}
        return sections(model, {"name": "beta"}, {"constant": 0.5, "clip": 100.0}, node, examples)

    def check(self, model: Model, seen: Pass) -> None:
        check_codes(seen, self.codes, f"marginal-kl-{self.family}")

    def observe(self, model: Model, batch: Batch, noise: Noise) -> None:
        seen = model(batch, noise)
        self.of, self.suffix = self.codes.divergence(seen), self.codes.suffix(seen)
        self.gained.add(self.density.log_prob(self.codes.values(seen)[0]) - self.codes.log_marginal(seen)[0])

    def merge(self, other: Estimator) -> None:
        assert isinstance(other, DensityModelKL)
        self.gained.merge(other.gained)

    def per_example(self) -> Mapping[str, np.ndarray]:
        return {f"marginal_kl_{self.family}{self.suffix}": self.gained.values}

    def result(self) -> Mapping[str, Result]:
        return {f"marginal_kl_{self.family}{self.suffix}": mean_of(self.gained.values, self.of, "lower")}


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
        layer: LayerNumber = None,
    ) -> None:
        super().__init__(density, layer)

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
        layer: LayerNumber = None,
    ) -> None:
        super().__init__(density, layer)

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
        layer: LayerNumber = None,
    ) -> None:
        super().__init__(density, layer)

    @staticmethod
    def law(node: Mapping[str, Any]) -> dict[str, Any]:
        return {"name": "lstm", "hidden": node["hidden"]}

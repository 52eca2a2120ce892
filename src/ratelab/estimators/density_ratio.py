"""KL(q(z) || m(z)) by the density-ratio trick (Rosca et al. 2018, Alg. 3), and beside it what the same critic bounds.

A critic learns to tell codes z ~ q(z) from draws of m(z); its logit T stands in for log q - log m and E_q[T] for the divergence. That is
no bound: short of the best critic it may lie anywhere on either side. The forms of Donsker and Varadhan and of Nguyen, Wainwright and
Jordan are bounds from below, whatever the critic, on draws that it has not learnt from.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ratelab.core.batch import Batch, Noise
from ratelab.core.codes import Codes
from ratelab.core.critic import Critic
from ratelab.core.estimate import Bound, Estimate
from ratelab.core.estimator import Estimator, Needs, Result
from ratelab.core.model import Model
from ratelab.core.passes import Pass
from ratelab.core.reference import DONSKER83, NGUYEN10, R18, Reference
from ratelab.core.units import COUNT
from ratelab.divergences.ratio import Bounded, donsker_varadhan, effective_draws, mean_logit, nwj
from ratelab.estimators.averages import Column
from ratelab.estimators.lacks import check_codes
from ratelab.estimators.lessons import Count, LayerNumber, Rate, Seed, sections

FEW = 30.0  # effective draws of m(z), below which a mean of weights may miss what matters


class DensityRatioKL(Estimator):
    """``marginal_kl_ratio`` (no bound), and the lower bounds ``marginal_kl_dv`` and ``marginal_kl_nwj`` from the same critic.

    The critic: ``layers`` of ``width`` with leaky ReLU, ``dropout``, ``noise`` on its activations, gradient ``penalty``, ``steps`` of Adam
    (0.5, 0.9) with rate ``lr``. ``draws`` of m(z) for each code carry the bounds: ``marginal_kl_draws`` says what their weights are
    worth, and below 30 the two are called estimates. Rosca et al. take layers and rates from a sweep; their size is width 1000.
    In a hierarchy ``layer``, counted from the data, is how far down the codes go, z_L to z_l together; none: the top layer. ``alone``: of
    z_l by itself, against what the model generates there.
    """

    references = (Reference(R18, "Alg. 3, App. E.2"), Reference(DONSKER83), Reference(NGUYEN10))
    needs = Needs(likelihood=False, helper="critic of codes", examples=2)

    def __init__(
        self,
        critic: Critic,
        *,
        layers: Count = 3,
        width: Count = 512,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        noise: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0,
        penalty: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0,
        lr: Rate = 5e-4,
        steps: Count = 10_000,
        batch_size: Count = 128,
        seed: Seed = 0,
        draws: Count = 10,
        layer: LayerNumber = None,
        alone: bool = False,
    ) -> None:
        self.critic, self.draws, self.codes = critic, draws, Codes(layer, alone)
        self.of = self.suffix = ""
        self.on_codes, self.on_draws = Column(), Column()

    @classmethod
    def lesson(cls, node: Mapping[str, Any], examples: int) -> Mapping[str, Any]:
        model = {"name": "code-critic", **{key: node[key] for key in ("layers", "width", "dropout", "noise", "layer", "alone")}}
        objective = {"name": "discrimination", "penalty": node["penalty"]}
        return sections(model, objective, {"betas": [0.5, 0.9], "constant": 0.5}, node, examples)

    def check(self, model: Model, seen: Pass) -> None:
        check_codes(seen, self.codes, "marginal-kl-ratio")

    def observe(self, model: Model, batch: Batch, noise: Noise) -> None:
        seen = model(batch, noise)
        self.of, self.suffix = self.codes.divergence(seen), self.codes.suffix(seen)
        self.on_codes.add(self.critic.score(self.codes.values(seen)[0]))
        drawn = (self.codes.drawn(model, seen, batch.size, noise) for _ in range(self.draws))
        self.on_draws.add(torch.cat([self.critic.score(z) for z in drawn]))

    def merge(self, other: Estimator) -> None:
        assert isinstance(other, DensityRatioKL)
        self.on_codes.merge(other.on_codes)
        self.on_draws.merge(other.on_draws)

    def per_example(self) -> Mapping[str, np.ndarray]:
        return {f"marginal_kl_ratio{self.suffix}": self.on_codes.values}

    def result(self) -> Mapping[str, Result]:
        on_codes, on_draws = (torch.as_tensor(column.values) for column in (self.on_codes, self.on_draws))
        return {name + self.suffix: found for name, found in ratio_estimates(on_codes, on_draws, self.of).items()}


def ratio_estimates(on_p: Tensor, on_q: Tensor, of: str) -> dict[str, Result]:
    """The estimates ``of`` a divergence by one critic, from its logits on codes (S,) and on draws of m(z) (R,)."""
    found = mean_logit(on_p)
    return {
        "marginal_kl_ratio": Estimate(found.value, found.error, len(on_p), of=of, bound="estimate"),
        **{f"marginal_kl_{name}": estimate for name, estimate in certified(on_p, on_q, of, "m(z)").items()},
    }


def certified(on_p: Tensor, on_q: Tensor, of: str, law: str) -> dict[str, Estimate]:
    """``dv`` and ``nwj``, bounds ``of`` a divergence, and ``draws``: how many of the draws of ``law``, q, they rest on.

    Where these are few the two are called estimates: a mean of a few weights may miss what matters.
    """
    worth = effective_draws(on_q)
    sided: Bound = "lower" if worth >= FEW else "estimate"
    why = None if worth >= FEW else f"its draws of {law} are worth {worth:.1f} equal ones only, too few to bound anything"

    def estimate(found: Bounded) -> Estimate:
        return Estimate(found.value, found.error, len(on_p), of=of, bound=sided, why=why)

    of_draws = f"draws of {law} that the bounds rest on"
    return {
        "dv": estimate(donsker_varadhan(on_p, on_q)),
        "nwj": estimate(nwj(on_p, on_q)),
        "draws": Estimate(worth, math.nan, len(on_q), of=of_draws, bound="estimate", unit=COUNT),
    }

"""Over-fitting control by the U/S form (Alemi et al. 2018, App. C.1): bring S to H - log N on the training sample, not below.

U - S = H - D <= I_e for any density q(x), with S = KL(p\\*(x) || q(x)). On N training points S is KL(p^(x) || q(x)), and 0 means that q is
the sample. The law itself lies at KL(p^ || p\\*), about H - log N: what comes closer has learnt what is the sample's alone. With the
model's own law as q, -log q(x) <= D + R, so S is at most D + R - log N, and the loss turns around where that meets its target:

    |S - (H - log N)| = |D + R - H| .

This is flooding (Ishida et al. 2020) at a level that is known: the entropy of the data.
"""

import math
from typing import Annotated

from pydantic import Field
from torch import Tensor

from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State
from ratelab.core.passes import Pass
from ratelab.core.reference import A18, ISHIDA20, Reference
from ratelab.core.target import check_rate


class OverfittingTarget(Objective):
    """|D + R - H| on the batch means, in nats. ``entropy``: H of the data, or the best bound on it, e.g. H-hat of a sweep.

    The log shows the bound on S of the sample as ``s`` and its target H - log N as ``s_target``; both are below 0 where N is larger
    than exp(H), as the sample then repeats itself.
    """

    references = (Reference(A18, "App. C.1"), Reference(ISHIDA20, "eq. 3"))
    entropy: Tensor

    def __init__(self, setting: Setting, *, entropy: Annotated[float, Field(allow_inf_nan=False)]) -> None:
        super().__init__()
        self.hyper("entropy", entropy)
        self.log_examples = math.log(setting.examples)

    def players(self, model: Model) -> tuple[Player, ...]:
        check_rate(model, "overfitting-target")
        return super().players(model)

    def loss(self, seen: Pass, state: State) -> Loss:
        bound = seen.mean(seen.distortion) + seen.mean(seen.closed_rate)
        terms = {"s": bound.detach() - self.log_examples, "s_target": self.entropy - self.log_examples}
        return Loss((bound - self.entropy).abs(), terms, state)

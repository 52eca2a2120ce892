"""The InfoVAE family: D + (1 - alpha) R + (alpha + lambda - 1) MMD^2(q(z), m(z)) (Zhao et al. 2017, eq. 6).

alpha = 0, lambda = 1 is the negative ELBO; alpha = 1 leaves distortion and discrepancy only: the Wasserstein auto-encoder (Tolstikhin
et al. 2018) and, with KL for MMD^2, variational InfoMax (Crescimanna and Graham 2019, eq. 5). q(z) is the aggregated posterior,
seen through the minibatch; the marginal through as many draws.
"""

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from ratelab.core.batch import Batch, Noise
from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State, Turn
from ratelab.core.passes import Pass
from ratelab.core.reference import C19, TOLSTIKHIN18, ZHAO17, Reference
from ratelab.core.serving import check_drawn, check_prices
from ratelab.core.target import priced
from ratelab.divergences.mmd import Kernel, infovae_rbf, median_width, mmd2, multi_scale_imq, rbf

KernelName = Literal["imq", "rbf", "median-rbf"]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class InfoVae(Objective):
    """D + (1 - alpha) R + (alpha + lambda - 1) MMD^2, in nats plus a discrepancy without unit.

    ``scale``: lambda. ``kernel``: ``imq`` (seven scales), ``rbf`` (of the InfoVAE's code) or ``median-rbf`` (width from the batch).
    ``biased``: average over all pairs. Of a hierarchy the top layer's law is matched, whose marginal stands alone.
    """

    references = (Reference(ZHAO17, "eq. 6"), Reference(TOLSTIKHIN18, "eq. 4"))
    alpha: Tensor
    scale: Tensor

    def __init__(
        self,
        setting: Setting,
        *,
        alpha: Annotated[float, Field(le=1, allow_inf_nan=False)] = 0.0,
        scale: Weight = 10.0,
        kernel: KernelName = "imq",
        biased: bool = False,
    ) -> None:
        super().__init__()
        if alpha + scale < 1:
            raise UserError(
                f"objective: alpha + scale - 1 = {alpha + scale - 1:g} would reward a discrepancy; let scale be at least {1 - alpha:g}"
            )
        self.hyper("alpha", alpha)
        self.hyper("scale", scale)
        self.kernel, self.biased = kernel, biased

    def players(self, model: Model) -> tuple[Player, ...]:
        check_prices(model, "infovae", 1 - self.alpha)
        check_drawn(model, "infovae" if float(self.alpha) < 1 else "vim")
        return super().players(model)

    def turn(self, model: Model, batch: Batch, noise: Noise, state: State) -> Turn:
        seen = model(batch, noise, self.samples, self.path)
        top = seen.top
        codes = top.z.flatten(2) if top.z.ndim > 2 else top.z.unsqueeze(-1)
        drawn = top.marginal.draw(noise, batch.size).value.reshape(batch.size, -1)
        discrepancy = mmd2(codes, drawn, self._kernel(codes, drawn), biased=self.biased).mean()
        loss = self.loss(seen, state)
        total = loss.total + (self.alpha + self.scale - 1) * discrepancy
        return Turn(Loss(total, {"mmd2": discrepancy.detach()}, state), seen)

    def loss(self, seen: Pass, state: State) -> Loss:
        """The part that a pass alone determines, D + (1 - alpha) R; :meth:`turn` adds the discrepancy from draws of the marginal."""
        return Loss(seen.mean(seen.distortion) + priced(1 - self.alpha, seen.mean(seen.closed_rate)), {}, state)

    def _kernel(self, codes: Tensor, drawn: Tensor) -> Kernel:
        dimensions = codes.shape[-1]
        if self.kernel == "rbf":
            return infovae_rbf(dimensions)
        if self.kernel == "median-rbf":
            return rbf(median_width(drawn, codes.detach()).unsqueeze(-1).unsqueeze(-1))
        return multi_scale_imq(dimensions, drawn.detach().square().mean() - drawn.detach().mean().square())


class Vim(InfoVae):
    """Variational InfoMax: D + lambda MMD^2(q(z), m(z)), the InfoVAE at alpha = 1; the rate is free (C19, eq. 5).

    Works with deterministic encoders too: it is then the Wasserstein auto-encoder. Options as of ``infovae``.
    """

    references = (Reference(C19, "eq. 5"), Reference(TOLSTIKHIN18, "eq. 4"))

    def __init__(self, setting: Setting, *, scale: Weight = 10.0, kernel: KernelName = "imq", biased: bool = False) -> None:
        super().__init__(setting, alpha=1.0, scale=scale, kernel=kernel, biased=biased)

"""The InfoVAE family: D + (1 - alpha) R + (alpha + lambda - 1) Div(q(z), m(z)) (Zhao et al. 2017, eq. 6).

alpha = 0, lambda = 1 is the negative ELBO; alpha = 1 leaves distortion and divergence only: the Wasserstein auto-encoder (Tolstikhin
et al. 2018) with MMD^2 for Div and variational InfoMax (Crescimanna and Graham 2019, eq. 5) with any, KL in its analysis. q(z) is
the aggregated posterior, seen through the minibatch; for MMD^2 the marginal is seen through as many draws.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from ratelab.core.batch import Batch, Noise
from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State, Turn
from ratelab.core.passes import Layer, Pass
from ratelab.core.reference import C19, TOLSTIKHIN18, ZHAO17, Reference
from ratelab.core.serving import check_drawn, check_laws, check_prices
from ratelab.core.target import check_rate, priced
from ratelab.divergences.mmd import Kernel, infovae_rbf, median_width, mmd2, multi_scale_imq, rbf
from ratelab.divergences.total_correlation import log_weights

KernelName = Literal["imq", "rbf", "median-rbf"]
Divergence = Literal["mmd", "kl"]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class InfoVae(Objective):
    """D + (1 - alpha) R + (alpha + lambda - 1) Div, in nats where Div is; ``scale`` is lambda.

    ``divergence``: ``mmd``, squared and without unit, or ``kl``, KL(q(z) || m(z)) in nats, for which the encoder needs a density.
    ``kernel`` of the former: ``imq`` (seven scales), ``rbf`` (of the InfoVAE's code) or ``median-rbf`` (width from the batch), and
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
        divergence: Divergence = "mmd",
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
        self.divergence, self.kernel, self.biased, self.examples = divergence, kernel, biased, setting.examples

    def players(self, model: Model) -> tuple[Player, ...]:
        check_prices(model, "infovae", 1 - self.alpha)
        name = "infovae" if float(self.alpha) < 1 else "vim"
        if self.divergence == "mmd":
            check_drawn(model, name)
        else:
            check_rate(model, name, verb="scores every draw under every example's encoder for")
            check_laws(model, name)
        return super().players(model)

    def turn(self, model: Model, batch: Batch, noise: Noise, state: State) -> Turn:
        seen = model(batch, noise, self.samples, self.path)
        if self.divergence == "kl":
            name, discrepancy = "kl", aggregated_kl(seen, self.examples)
        else:
            name, discrepancy = "mmd2", self._discrepancy(seen.top, noise, batch.size)
        loss = self.loss(seen, state)
        total = loss.total + (self.alpha + self.scale - 1) * discrepancy
        return Turn(Loss(total, {name: discrepancy.detach()}, state), seen)

    def _discrepancy(self, top: Layer, noise: Noise, size: int) -> Tensor:
        codes = top.z.flatten(2) if top.z.ndim > 2 else top.z.unsqueeze(-1)
        drawn = top.marginal.draw(noise, size).value.reshape(size, -1)
        return mmd2(codes, drawn, self._kernel(codes, drawn), biased=self.biased).mean()

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
    """Variational InfoMax: D + lambda Div(q(z), m(z)), the InfoVAE at alpha = 1; the rate is free (C19, eq. 5).

    Works with deterministic encoders too: it is then the Wasserstein auto-encoder. Options as of ``infovae``.
    """

    references = (Reference(C19, "eq. 5"), Reference(TOLSTIKHIN18, "eq. 4"))

    def __init__(
        self,
        setting: Setting,
        *,
        scale: Weight = 10.0,
        divergence: Divergence = "mmd",
        kernel: KernelName = "imq",
        biased: bool = False,
    ) -> None:
        super().__init__(setting, alpha=1.0, scale=scale, divergence=divergence, kernel=kernel, biased=biased)


def aggregated_kl(seen: Pass, examples: int) -> Tensor:
    """KL(q(z) || m(z)) of the top layer's aggregated posterior over a data set of ``examples``, from one pass; nats.

    Exact over the batch where the pass is an exact sum over latents, else estimated at the draws (stratified weights).
    """
    top = seen.top
    assert top.encoder is not None
    if seen.weights is not None:
        batch = seen.batch
        share = seen.distortion.new_ones(batch.size) if batch.weight is None else batch.weight
        mixture = torch.logsumexp(top.log_encoder + (share / share.sum()).log(), -1)
        return (mixture.exp() * (mixture - top.log_marginal[..., 0])).sum(-1)
    every = top.encoder.log_prob(top.z.unsqueeze(-1 - len(top.marginal.event_shape)))  # (K, B, B): each draw under each example
    mixture = torch.logsumexp(every + log_weights(seen.batch.size, examples, "stratified").to(every), -1)
    return seen.mean(mixture - top.log_marginal)

"""What one stochastic pass through a model reports: rates, layer by layer, and distortion.

Objectives and estimators read these records and nothing else, so that no objective can redefine what is measured.
Counting axes from the right, per-example quantities are (K, B): K samples, B examples. A stack of models adds axes in front.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from ratelab.core.batch import Batch
from ratelab.core.law import Law, sum_event


@dataclass(frozen=True)
class Layer:
    """One stochastic layer z_l, as one pass saw it.

    ``z``: (K, B, \\*event). ``encoder``: e(z_l | x, layers drawn before it), or None where there is none (a GAN).
    ``marginal``: m(z_l | z_>l). ``scored``: (K, B), the encoder's log-density taken when z was drawn, where the law knows it
    only then. ``auxiliary``: z is an auxiliary u whose marginal is r(u|x,z): in the rate, not in the representation. ``ahead``: z
    was drawn before latents that its marginal is given, so that a KL of the two laws is not its rate, and only samples are.
    """

    z: Tensor
    encoder: Law | None
    marginal: Law
    scored: Tensor | None = None
    auxiliary: bool = False
    ahead: bool = False

    @cached_property
    def log_encoder(self) -> Tensor:
        """(K, B) log e(z_l | ...), nats; NaN where there is no encoder."""
        if self.scored is not None:
            return self.scored
        if self.encoder is None:
            return self.log_marginal.new_full(self.log_marginal.shape, torch.nan)
        return self.encoder.log_prob(self.z)

    @cached_property
    def log_marginal(self) -> Tensor:
        """(K, B) log m(z_l | z_>l), nats."""
        return self.marginal.log_prob(self.z)

    @property
    def rate(self) -> Tensor:
        """(K, B) sampled rate, log e - log m, nats. Single values may be negative; the expectation is not."""
        return self.log_encoder - self.log_marginal

    @property
    def _divergence(self) -> Tensor | None:
        """KL(e || m) per unit in closed form, where there is one and it is the rate."""
        return None if self.encoder is None or self.ahead else self.encoder.kl(self.marginal)

    @cached_property
    def unit_rate(self) -> Tensor | None:
        """(K, B, \\*event) rate of each unit where both laws factorise (free bits): in closed form, else sampled."""
        if self.encoder is None:
            return None
        closed = self._divergence
        if closed is not None:
            return closed.expand(self.z.shape)
        log_e, log_m = self.encoder.unit_log_prob(self.z), self.marginal.unit_log_prob(self.z)
        return None if log_e is None or log_m is None else log_e - log_m

    @cached_property
    def closed_rate(self) -> Tensor:
        """(K, B) KL(e || m) in closed form where one exists (less variance, for losses), else :attr:`rate`. Nats."""
        closed = self._divergence
        if closed is None:
            return self.rate
        rate = sum_event(closed, self.marginal.event_shape)
        lead = self.z.shape[: self.z.ndim - len(self.marginal.event_shape)]
        # One sample is the usual case in training, where a view costs less than an expansion on the way back.
        return rate.unsqueeze(0) if lead == (1, *rate.shape) else rate.expand(lead)


@dataclass(frozen=True)
class Pass:
    """All that one stochastic pass through a model reports.

    ``target``: what the decoder scores: x; the clean x when denoising; y in an information bottleneck. ``layers``: L >= 0,
    top layer first. ``decoder``: d(target | z), or None for a generator without likelihood. ``origin``: "data" (x ~ p*,
    z ~ e(z|x)) or "model" (z ~ m(z), x ~ d(x|z)). ``weights``: (K, B), summing to 1 over K, or None for 1/K each.
    """

    batch: Batch
    target: Tensor
    layers: tuple[Layer, ...]
    decoder: Law | None
    origin: Literal["data", "model"] = "data"
    weights: Tensor | None = None
    splits: bool = True  # False for bottom-up inference: the total rate does not split over layers

    @property
    def samples(self) -> int:
        """K."""
        return self.distortion.shape[-2]

    @property
    def top(self) -> Layer:
        """The top layer of the representation: the first that is not auxiliary."""
        return next(layer for layer in self.layers if not layer.auxiliary)

    @cached_property
    def rates(self) -> Tensor:
        """(L, K, B) sampled rates in nats, top layer first; one row, the total, where the rate does not split."""
        return self._stack([layer.rate for layer in self.layers])

    @cached_property
    def closed_rates(self) -> Tensor:
        """(L, K, B) rates with closed forms where they exist: for losses, not for reports."""
        return self._stack([layer.closed_rate for layer in self.layers])

    def _stack(self, rows: list[Tensor]) -> Tensor:
        if not rows:
            return self.distortion.new_zeros(0, *self.distortion.shape)
        rows = rows if self.splits else [torch.stack(rows).sum(0)]
        return rows[0].unsqueeze(-3) if len(rows) == 1 else torch.stack(rows, dim=-3)

    @property
    def rate(self) -> Tensor:
        """(K, B) total rate in nats, from the same samples as the distortion."""
        return self.rates.sum(-3)

    @property
    def closed_rate(self) -> Tensor:
        """(K, B) total of :attr:`closed_rates`."""
        return self.closed_rates.sum(-3)

    @cached_property
    def distortion(self) -> Tensor:
        """(K, B) -log d(target | z) in nats, with its normalising constant; NaN for a generator without likelihood."""
        if self.decoder is None:
            shape = self.layers[0].log_marginal.shape if self.layers else (1, self.batch.size)
            return self.batch.x.new_full(shape, torch.nan)
        log_d = self.decoder.log_prob(self.target)
        return -log_d if log_d.ndim > 1 else -log_d.unsqueeze(0)

    @property
    def weight(self) -> Tensor:
        """(K, B), sums to 1 over K."""
        if self.weights is not None:
            return self.weights
        return torch.full_like(self.distortion, 1.0 / self.samples)

    def per_example(self, values: Tensor) -> Tensor:
        """(..., K, B) -> (..., B): expectation over the K samples."""
        return values.mean(-2) if self.weights is None else (self.weights * values).sum(-2)

    def mean(self, values: Tensor) -> Tensor:
        """(..., K, B) -> (...): expectation over samples and examples; nothing else averages over K and B."""
        if self.weights is None and self.batch.weight is None:
            return values.mean((-2, -1))
        over_samples = self.per_example(values)
        if self.batch.weight is None:
            return over_samples.mean(-1)
        return (over_samples * self.batch.weight).sum(-1) / self.batch.weight.sum()

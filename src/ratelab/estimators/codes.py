"""What is kept of a split to score draws under its whole aggregated posterior: the laws e(z|x_n) and some draws of them.

Draws are thinned as they come: each example carries a uniform number, and the examples with the smallest are the ones kept. So
memory is bounded, the choice is random, and parts of the data merge into what the whole would have given.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ratelab.core.batch import Batch, Noise
from ratelab.core.law import Law
from ratelab.core.passes import Layer
from ratelab.distributions.flowed import Flowed
from ratelab.distributions.gaussians import DiagonalGaussian
from ratelab.divergences.mixture_density import log_sum_others

PAIRS = 200_000  # scores of a law without a fast form that are computed at once


class Codes:
    """The codes of one layer whose encoder sees x alone. ``most``: how many examples' draws are kept for scoring."""

    def __init__(self, most: int) -> None:
        self.most, self.examples = most, 0
        self.laws: list[Law] = []
        self.order = torch.empty(0)  # (S,) the uniform numbers
        self.own = torch.empty(0, dtype=torch.long)  # (S,) whose draws they are
        self.z = self.log_own = self.log_marginal = self.log_volume = torch.empty(0)

    def add(self, layer: Layer, batch: Batch, noise: Noise) -> None:
        """Take in the layer of one batch; ``layer.z`` is (K, B, \\*event)."""
        assert layer.encoder is not None
        order = noise.uniform((batch.size,))
        z, base, log_volume = sources(layer)
        more = Codes(self.most)
        more.laws, more.examples = [base.detached()], batch.size
        more.order, more.own = order, torch.arange(batch.size, device=order.device)
        more.z = z.transpose(0, 1).detach()
        more.log_volume = log_volume.mT.double()
        more.log_own, more.log_marginal = (
            score.detach().mT.double() for score in (layer.log_encoder, layer.log_marginal.expand(layer.log_encoder.shape))
        )
        self.merge(more)

    def merge(self, other: "Codes") -> None:
        """Append what another part of the split gave."""
        if self.examples == 0:
            for name, value in vars(other).items():
                setattr(self, name, value)
        else:
            other.own = other.own + self.examples
            for name in ("order", "own", "z", "log_own", "log_marginal", "log_volume"):
                setattr(self, name, torch.cat([getattr(self, name), getattr(other, name)]))
            self.laws = [*self.laws, *other.laws]
            self.examples += other.examples
        if len(self.order) > self.most:
            kept = self.order.argsort()[: self.most].sort().values
            for name in ("order", "own", "z", "log_own", "log_marginal", "log_volume"):
                setattr(self, name, getattr(self, name)[kept])

    def log_others(self) -> Tensor:
        """(S, K) log sum over all other examples m of e(z|x_m), nats, for the kept draws."""
        s, k = self.z.shape[:2]
        found = log_sum_of_others(self.laws, self.z.flatten(0, 1), self.own.repeat_interleave(k))
        return found.view(s, k) + self.log_volume

    def log_total(self, others: Tensor) -> Tensor:
        """(S, K) log q(z), the mixture over all N examples, own one included, from :meth:`log_others`."""
        return torch.logaddexp(others, self.log_own) - math.log(self.examples)


def log_sum_of_others(laws: Sequence[Law], z: Tensor, own: Tensor) -> Tensor:
    """(S,) log sum over n != own_s of e(z_s|x_n), nats; ``laws``: e(z|x_n), many n in each; ``own`` is -1 where none is left out."""
    gaussians = [law for law in laws if isinstance(law, DiagonalGaussian)]
    if len(gaussians) < len(laws):
        return _one_by_one(laws, z, own)
    loc = torch.cat([law.loc.flatten(1) for law in gaussians])
    log_scale = torch.cat([law.log_scale.expand(law.loc.shape).flatten(1) for law in gaussians])
    return log_sum_others(z.flatten(1), loc, log_scale, own)


def _one_by_one(laws: Sequence[Law], z: Tensor, own: Tensor) -> Tensor:
    total = torch.full((len(z),), -torch.inf, dtype=torch.float64, device=z.device)
    first = 0
    for law in laws:
        size = law.batch_shape[-1]
        event = len(law.event_shape)
        rows = max(1, PAIRS // size)
        for top in range(0, len(z), rows):
            block = z[top : top + rows]
            pairs = block.unsqueeze(1).expand(-1, size, *block.shape[block.ndim - event :])
            scores = law.log_prob(pairs).double()
            mine = own[top : top + rows, None] == first + torch.arange(size, device=z.device)
            scores = scores.masked_fill(mine, -torch.inf)
            total[top : top + rows] = torch.logaddexp(total[top : top + rows], scores.logsumexp(-1))
        first += size
    return total


def sources(layer: Layer) -> tuple[Tensor, Law, Tensor]:
    """Draws (K, B, \\*event), the law that scores them under any example, and what a shared flow adds to every score, (K, B).

    A flow that does not depend on x is common to all components: the mixture is scored where the draws came from.
    """
    law = layer.encoder
    assert law is not None
    if isinstance(law, Flowed) and law.context is None:
        source = law.source(layer.z)
        return source.value, law.base, source.log_det.detach()
    return layer.z, law, torch.zeros_like(layer.log_marginal).expand(layer.z.shape[:2])

"""The importance-weighted bound with K samples (Burda et al. 2016; Kingma and Welling 2019, eq. 2.56-2.57).

L_K = E log (1/K) sum_k w_k with w_k = d(x|z_k) m(z_k) / e(z_k|x); L_1 is the ELBO, and L_K rises to log p(x). Its gradient is
sum_k (w_k / sum_j w_j) grad log w_k, so the samples can be visited in chunks: once for the weights, once more for the gradients.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ratelab.core.batch import Batch, Noise, RecordedNoise, ReplayedNoise
from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State, Turn, valued
from ratelab.core.passes import Pass
from ratelab.core.reference import BURDA16, K19, Reference
from ratelab.core.serving import check_drawn
from ratelab.core.target import check_rate


class Iwae(Objective):
    """-L_K in nats, by reparameterisation. ``samples``: K.

    ``chunk``: how many samples are held in memory at once (null: all); the decoder's forward pass then runs twice. What is logged of rate
    and distortion comes from the first chunk.
    """

    references = (Reference(BURDA16, "eq. 8 and 14"), Reference(K19, "eq. 2.57"))

    def __init__(
        self, setting: Setting, *, samples: Annotated[int, Field(ge=1)] = 5, chunk: Annotated[int, Field(ge=1)] | None = None
    ) -> None:
        super().__init__()
        self.samples, self.chunk = samples, chunk
        self.stacks = chunk is None

    def players(self, model: Model) -> tuple[Player, ...]:
        check_rate(model, "iwae", verb="weighs draws by")
        if self.chunk is not None:
            check_drawn(model, "iwae")
        return super().players(model)

    def turn(self, model: Model, batch: Batch, noise: Noise, state: State) -> Turn:
        if self.chunk is None or self.chunk >= self.samples:
            return super().turn(model, batch, noise, state)
        return self._in_chunks(model, batch, noise, state, self.chunk)

    def loss(self, seen: Pass, state: State) -> Loss:
        bound = log_mean_weight(seen)
        return Loss(-seen.mean(bound.unsqueeze(-2)), {}, state)

    def _in_chunks(self, model: Model, batch: Batch, noise: Noise, state: State, chunk: int) -> Turn:
        sizes = [min(chunk, self.samples - start) for start in range(0, self.samples, chunk)]
        records, weights = [], []
        first: Pass | None = None
        with torch.no_grad():
            for size in sizes:
                record = RecordedNoise(noise)
                seen = model(batch, record, size)
                weights.append(-(seen.distortion + seen.rate))
                records.append(record.draws)
                first = seen if first is None else first
        assert first is not None
        log_weights = torch.cat(weights, -2)
        shares = log_weights.softmax(-2).split(sizes, -2)
        parameters = [p for p in model.parameters() if p.requires_grad]
        total = [torch.zeros_like(p) for p in parameters]
        for size, draws, share in zip(sizes, records, shares, strict=True):
            seen = model(batch, ReplayedNoise(draws), size)
            surrogate = first.mean((share * (seen.distortion + seen.rate)).sum(-2, keepdim=True))
            for kept, slope in zip(total, torch.autograd.grad(surrogate, parameters, allow_unused=True), strict=True):
                if slope is not None:
                    kept += slope
        # Linear in the parameters: it has the gradient that was added up, and no graph behind it.
        linear = sum(((slope * p).sum() for slope, p in zip(total, parameters, strict=True)), start=log_weights.new_zeros(()))
        bound = torch.logsumexp(log_weights, -2, keepdim=True) - torch.tensor(float(self.samples)).log()
        return Turn(Loss(valued(-first.mean(bound), linear), {}, state), first)


def log_mean_weight(seen: Pass) -> Tensor:
    """(B,) log (1/K) sum_k w_k, nats."""
    return torch.logsumexp(-(seen.distortion + seen.rate) + seen.weight.log(), dim=-2)

"""Categorical laws over the states 0 .. k-1, from logits (Alemi et al. 2018, App. E; finite latents and finite data)."""

import math

import torch
from torch import Tensor

from ratelab.core.batch import Noise
from ratelab.core.law import Abilities, Draw, Law, full_precision


class Categorical(Law):
    """One state out of k. ``logits``: (\\*batch, k). A value is the state's index, shape (\\*batch,), as a floating-point number."""

    mass = True
    abilities = Abilities(elementwise=True, closed_kl=True)

    event_shape = ()

    def __init__(self, logits: Tensor) -> None:
        self.log_probs = full_precision(logits).log_softmax(-1)
        self.batch_shape = tuple(logits.shape[:-1])

    @property
    def mean(self) -> Tensor:
        """The most probable state: the mean of an index says nothing."""
        return self.log_probs.argmax(-1).to(self.log_probs.dtype)

    @property
    def capacity(self) -> float:
        return math.log(self.log_probs.shape[-1])

    def draw(self, noise: Noise, samples: int | None = None) -> Draw:
        """By the Gumbel-max rule, so that a mode request yields the mode."""
        perturbed = self.log_probs + noise.gumbel((*self._shape(samples), self.log_probs.shape[-1]))
        return Draw(perturbed.argmax(-1).to(self.log_probs.dtype))

    def log_prob(self, value: Tensor) -> Tensor:
        index = value.long()
        if self.batch_shape[-1:] == (1,) and index.ndim:
            # One law for a whole row of values: looked up in place, without a copy of the law for each of them.
            rows = self.log_probs.squeeze(-2)
            lead = torch.broadcast_shapes(rows.shape[:-1], index.shape[:-1])
            return rows.expand(*lead, -1).gather(-1, index.expand(*lead, -1))
        table, index = torch.broadcast_tensors(self.log_probs, index.unsqueeze(-1))
        return table.gather(-1, index[..., :1]).squeeze(-1)

    def unit_log_prob(self, value: Tensor) -> Tensor:
        return self.log_prob(value)

    def kl(self, other: Law) -> Tensor | None:
        if not isinstance(other, Categorical):
            return None
        return (self.log_probs.exp() * (self.log_probs - other.log_probs)).sum(-1)

    def detached(self) -> "Categorical":
        return Categorical(self.log_probs.detach())

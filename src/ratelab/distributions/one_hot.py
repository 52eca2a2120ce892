"""Groups of categorical latents as one-hot vectors, relaxed while training (Gumbel-softmax; K19, section 2.9.1).

A relaxed draw is softmax((log pi + g) / tau) (Jang et al. 2017; Maddison et al. 2017); straight-through passes the one-hot vector on
and the relaxed draw's gradient back. Masses are those of the categorical law: log pi.y, exact for one-hot y.
"""

import math
from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from ratelab.core.batch import Noise
from ratelab.core.errors import UserError
from ratelab.core.law import Abilities, Draw, Law, full_precision

Sampling = Literal["hard", "relaxed", "straight-through"]


class OneHot(Law):
    """Independent groups of k states each; an event is their one-hot vectors in a row. ``logits``: (\\*batch, groups, k).

    ``sampling``: ``hard`` (exact, no gradient), ``relaxed`` (points of the simplex at ``temperature``) or ``straight-through``.
    """

    abilities = Abilities(closed_kl=True)

    def __init__(self, logits: Tensor, *, sampling: Sampling = "hard", temperature: float | Tensor = 1.0) -> None:
        self.log_probs = full_precision(logits).log_softmax(-1)
        self.sampling, self.temperature = sampling, temperature
        self.batch_shape = tuple(logits.shape[:-2])
        self.groups, self.states = int(logits.shape[-2]), int(logits.shape[-1])
        self.event_shape = (self.groups * self.states,)

    @property
    def mean(self) -> Tensor:
        return self.log_probs.exp().flatten(-2)

    @property
    def capacity(self) -> float:
        return self.groups * math.log(self.states)

    def draw(self, noise: Noise, samples: int | None = None) -> Draw:
        lead = () if samples is None else (samples,)
        perturbed = self.log_probs + noise.gumbel((*lead, *self.log_probs.shape))
        if self.sampling == "relaxed":
            return Draw((perturbed / self.temperature).softmax(-1).flatten(-2))
        hard = F.one_hot(perturbed.argmax(-1), self.states).to(self.log_probs.dtype)
        if self.sampling == "straight-through":
            soft = (perturbed / self.temperature).softmax(-1)
            hard = hard + (soft - soft.detach())
        return Draw(hard.flatten(-2))

    def log_prob(self, value: Tensor) -> Tensor:
        return (value.unflatten(-1, (self.groups, self.states)) * self.log_probs).sum((-2, -1))

    def kl(self, other: Law) -> Tensor | None:
        """Each group's KL(pi || pi'), spread evenly over the group's k entries."""
        if not isinstance(other, OneHot):
            return None
        groups = (self.log_probs.exp() * (self.log_probs - other.log_probs)).sum(-1, keepdim=True)
        return (groups / self.states).expand(*groups.shape[:-1], self.states).flatten(-2)

    def detached(self) -> "OneHot":
        return OneHot(self.log_probs.detach(), sampling=self.sampling, temperature=self.temperature)


def groups_of(size: int, states: int, where: str) -> int:
    """How many groups of ``states`` entries make ``size`` latents; :class:`UserError` where they do not fit."""
    if size % states:
        raise UserError(f"{where}: groups of {states} states do not fill latent_dim {size}; make it a multiple of {states}")
    return size // states


def is_discrete(law: Law) -> bool:
    """Whether there is nothing between the values of ``law``: one-hot draws, though their relaxed ones have a density, or masses."""
    return law.mass or isinstance(law, OneHot)

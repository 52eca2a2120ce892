"""What one model for a whole curve is conditioned on: log beta, one for each layer of latents (Bae et al. 2023, section 3).

In training every example has a log beta of its own, drawn over a range; a trained model is used at one beta, the same for all examples.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ratelab.core.batch import Noise
from ratelab.core.errors import UserError

SLACK = 1e-6  # relative: a beta typed as the end of the range is inside it


class Conditioning(nn.Module):
    """The range [``low``, ``high``] of beta that a model of ``layers`` layers is trained over, and the beta that it is used at.

    ``ends``: whether training draws more at the two ends of the range than between them. ``at``: (1, L), log beta where a batch
    names none: 1, or what lies nearest to it in the range.
    """

    at: Tensor

    def __init__(self, low: float, high: float, layers: int, ends: bool = False) -> None:
        super().__init__()
        if not low < high:
            raise UserError(
                f"model.conditioning.range: [{low:g}, {high:g}] holds no range of beta; give a smaller beta, then a larger"
            )
        self.low, self.high, self.layers, self.ends = low, high, layers, ends
        self.register_buffer("at", torch.zeros(1, layers), persistent=False)
        self.use([min(max(1.0, low), high)])

    @property
    def betas(self) -> tuple[float, ...]:
        """The beta of each layer that the model is used at, top layer first."""
        return tuple(self.at[0].exp().tolist())

    def use(self, betas: Iterable[float]) -> None:
        """Use the model at ``betas``: one for all layers, or one for each; :class:`UserError` outside the range trained over."""
        chosen = self.check(betas)
        self.at.copy_(torch.tensor([chosen if len(chosen) == self.layers else chosen * self.layers]).log())

    @contextmanager
    def used_at(self, betas: Iterable[float]) -> Iterator[None]:
        """Use the model at ``betas`` while the block runs."""
        before = self.at.clone()
        self.use(betas)
        try:
            yield
        finally:
            self.at.copy_(before)

    def check(self, betas: Iterable[float]) -> tuple[float, ...]:
        """``betas``; :class:`UserError` where they are too many or too few, or one lies outside the range."""
        chosen = tuple(betas)
        if len(chosen) not in (1, self.layers):
            raise UserError(
                f"beta: {len(chosen)} values for a model of {self.layers} layer(s); give one number or {self.layers}"
            )
        for beta in chosen:
            if not self.low * (1 - SLACK) <= beta <= self.high * (1 + SLACK):
                raise UserError(
                    f"beta {beta:g} lies outside [{self.low:g}, {self.high:g}], over which this model was trained: it says nothing there;"
                    " choose a beta inside, or train with a wider model.conditioning.range"
                )
        return chosen

    def spread(self, count: int) -> list[float]:
        """``count`` betas at equal ratios, from one end of the range to the other, of three digits where that is not an end."""
        ratio = (self.high / self.low) ** (1 / (count - 1))
        return [self.low, *(float(f"{self.low * ratio**i:.3g}") for i in range(1, count - 1)), self.high]

    def draw(self, n: int, noise: Noise) -> Tensor:
        """(n, L) log beta, stratified: in each column one value falls into each of n equally likely parts of the range, in random order.

        Equally likely is equally long, or with ``ends`` by the arcsine law. The columns are independent, so that all pairs of layers'
        betas are met.
        """
        order = noise.uniform((n, self.layers)).argsort(0)
        place = (order + noise.uniform((n, self.layers))) / n
        if self.ends:
            place = 0.5 - 0.5 * torch.cos(math.pi * place)
        low, high = math.log(self.low), math.log(self.high)
        return low + (high - low) * place

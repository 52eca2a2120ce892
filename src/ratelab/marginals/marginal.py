"""The contract of a marginal m(z): called with what it needs of the model around it, it returns a law."""

from abc import abstractmethod
from collections.abc import Callable

from torch import Tensor, nn

from ratelab.core.law import Law

Encode = Callable[[Tensor], Law]
"""x (N, \\*event), in the units of the data, to the law e(z|x) of this marginal's layer."""


class Marginal(nn.Module):
    """A law over one layer's latents, with or without parameters."""

    @abstractmethod
    def forward(self, encode: Encode | None = None, beside: Law | None = None) -> Law:
        """m(z). ``encode``: the encoder, for marginals made of it. ``beside``: the law whose draws are going to be scored."""

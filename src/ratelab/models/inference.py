"""How the layers of a hierarchy are inferred in the order in which the model generates them.

Generalised top-down inference (Xiao and Bamler 2023, eq. 4) gives every layer an encoder of its own, e(z_l | z_>l, x). A coupled one
multiplies what the model expects by what the data says: e(z_l | z_>l, x) is m(z_l | z_>l) times a Gaussian pseudo-likelihood that
a deterministic path from x writes, so precisions add (the Ladder VAE of Sonderby et al. 2016; Kingma and Welling 2019, section 4.3).
"""

from abc import abstractmethod
from collections.abc import Iterable

from torch import Tensor, nn

from ratelab.core.law import Law
from ratelab.distributions.gaussians import merged

Seen = tuple[Tensor, ...]


class Inference(nn.Module):
    """Sees x once, then gives each layer's law, top layer first."""

    @abstractmethod
    def look(self, x: Tensor) -> Seen:
        """What the layers need of x (B, \\*event)."""

    @abstractmethod
    def law(self, position: int, seen: Seen, above: tuple[Tensor, ...], prior: Law | None) -> Law:
        """e(z_l | z_>l, x) for the layer at ``position`` from the top.

        ``above``: draws of the layers above, (K, B, \\*event) each. ``prior``: m(z_l | z_>l); None at the top, unless :attr:`couples_top`.
        """

    couples_top: bool = False  # the top layer's law, too, is made of its marginal


class Separate(Inference):
    """One encoder for each layer, called with x and the layers above."""

    def __init__(self, encoders: Iterable[nn.Module]) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoders)

    def look(self, x: Tensor) -> Seen:
        return (x,)

    def law(self, position: int, seen: Seen, above: tuple[Tensor, ...], prior: Law | None) -> Law:
        law: Law = self.encoders[position](*seen, above)
        return law


class Ladder(Inference):
    """A bottom-up path ``steps`` from x, a step for each layer from the lowest to the top, and ``heads``, top layer first.

    The head of a layer makes of its step's output a Gaussian, which the marginal is merged with; that of the top layer is its law
    as it is, unless ``couples_top``.
    """

    def __init__(self, steps: Iterable[nn.Module], heads: Iterable[nn.Module], couples_top: bool = False) -> None:
        super().__init__()
        self.steps, self.heads, self.couples_top = nn.ModuleList(steps), nn.ModuleList(heads), couples_top

    def look(self, x: Tensor) -> Seen:
        seen: list[Tensor] = []
        for step in self.steps:
            x = step(x)
            seen.insert(0, x)
        return tuple(seen)

    def law(self, position: int, seen: Seen, above: tuple[Tensor, ...], prior: Law | None) -> Law:
        told: Law = self.heads[position](seen[position])
        return told if prior is None else merged(prior, told)

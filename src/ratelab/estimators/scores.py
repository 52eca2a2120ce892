"""What a decoder's score is worth: a log-mass, a log-density, or a mere loss; and so what a bound on it may be called."""

from dataclasses import dataclass
from typing import Literal

from ratelab.core.estimate import OF_LABEL, Bound
from ratelab.core.law import Law

NO_LIKELIHOOD = "the decoder's score is a loss, not a log-likelihood"


@dataclass(frozen=True)
class Score:
    """The kind of number that a decoder gives. ``mass``: probabilities of discrete values; else a density over reals.

    ``label``: it scores the label, not the example.
    """

    normalised: bool = True
    mass: bool = True
    label: bool = False

    @classmethod
    def of(cls, decoder: Law | None, target: Literal["x", "y"] = "x") -> "Score":
        """The kind of a decoder's scores; a generator without likelihood counts as normalised, its distortion is unknown."""
        return cls(label=target == "y") if decoder is None else cls(decoder.normalised, decoder.mass, target == "y")

    @property
    def distortion(self) -> str:
        """What the distortion is an estimate of."""
        if not self.normalised:
            return "reconstruction loss (no likelihood)"
        if self.label:
            return OF_LABEL
        return "distortion" if self.mass else "distortion (density)"

    @property
    def evidence(self) -> str:
        """What -log p(x) is called: masses bound an entropy, densities a differential one, and the two never compare."""
        if self.label:
            return "negative log-likelihood of the label"
        return "negative log-likelihood" if self.mass else "negative log-density"

    @property
    def why(self) -> str | None:
        """Why nothing is bounded, where nothing is."""
        return None if self.normalised else NO_LIKELIHOOD

    def bound(self, claimed: Bound) -> Bound:
        """``claimed``, or an estimate without a side where the score is no likelihood."""
        return claimed if self.normalised else "estimate"

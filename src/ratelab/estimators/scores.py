"""What a decoder's score is worth: a log-mass, a log-density, or a mere loss; and so what a bound on it may be called."""

from dataclasses import dataclass

from ratelab.core.estimate import Bound
from ratelab.core.law import Law

NO_LIKELIHOOD = "the decoder's score is a loss, not a log-likelihood"


@dataclass(frozen=True)
class Score:
    """The kind of number that a decoder gives. ``mass``: probabilities of discrete values; else a density over reals."""

    normalised: bool = True
    mass: bool = True

    @classmethod
    def of(cls, decoder: Law | None) -> "Score":
        """The kind of a decoder's scores; a generator without likelihood counts as normalised, its distortion is unknown."""
        return cls() if decoder is None else cls(decoder.normalised, decoder.mass)

    @property
    def distortion(self) -> str:
        """What the distortion is an estimate of."""
        if not self.normalised:
            return "reconstruction loss (no likelihood)"
        return "distortion" if self.mass else "distortion (density)"

    @property
    def evidence(self) -> str:
        """What -log p(x) is called: masses bound an entropy, densities a differential one, and the two never compare."""
        return "negative log-likelihood" if self.mass else "negative log-density"

    @property
    def why(self) -> str | None:
        """Why nothing is bounded, where nothing is."""
        return None if self.normalised else NO_LIKELIHOOD

    def bound(self, claimed: Bound) -> Bound:
        """``claimed``, or an estimate without a side where the score is no likelihood."""
        return claimed if self.normalised else "estimate"

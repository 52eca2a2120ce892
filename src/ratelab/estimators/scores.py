"""What a decoder's score is worth: a log-mass, a log-density, or a mere loss; and so what a bound on it may be called."""

from dataclasses import dataclass
from typing import Literal

from ratelab.core.estimate import OF_CODES, OF_LABEL, Bound
from ratelab.core.law import Law

Target = Literal["x", "y", "z"]
NO_LIKELIHOOD = "the decoder's score is a loss, not a log-likelihood"


@dataclass(frozen=True)
class Score:
    """The kind of number that a decoder gives. ``mass``: probabilities of discrete values; else a density over reals.

    ``target``: what it scores, the example ``x``, its label ``y``, or codes ``z`` of another run.
    """

    normalised: bool = True
    mass: bool = True
    target: Target = "x"

    @classmethod
    def of(cls, decoder: Law | None, target: Target = "x") -> "Score":
        """The kind of a decoder's scores; a generator without likelihood counts as normalised, its distortion is unknown."""
        return cls(target=target) if decoder is None else cls(decoder.normalised, decoder.mass, target)

    @property
    def distortion(self) -> str:
        """What the distortion is an estimate of."""
        if not self.normalised:
            return "reconstruction loss (no likelihood)"
        if self.target != "x":
            return OF_LABEL if self.target == "y" else OF_CODES
        return "distortion" if self.mass else "distortion (density)"

    @property
    def evidence(self) -> str:
        """What -log p(x) is called: masses bound an entropy, densities a differential one, and the two never compare."""
        if self.target != "x":
            return (
                "negative log-likelihood of the label" if self.target == "y" else "negative log-density of another run's codes"
            )
        return "negative log-likelihood" if self.mass else "negative log-density"

    @property
    def why(self) -> str | None:
        """Why nothing is bounded, where nothing is."""
        return None if self.normalised else NO_LIKELIHOOD

    def bound(self, claimed: Bound) -> Bound:
        """``claimed``, or an estimate without a side where the score is no likelihood."""
        return claimed if self.normalised else "estimate"

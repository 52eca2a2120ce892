"""Where a model stands: regions of the phase diagram and behaviour categories (Alemi et al. 2018, section 2 and Fig. 4)."""

from enum import Enum


class Region(str, Enum):
    """Regions of the rate-distortion plane for data of entropy H (Alemi et al. 2018, Fig. 1)."""

    AUTOENCODING = "autoencoding limit"  # (R, D) = (H, 0): a lossless code
    AUTODECODING = "autodecoding limit"  # (R, D) = (0, H): the latent is ignored
    DIAGONAL = "diagonal"  # D + R = H: both bounds tight
    BOTTOM = "bottom line"  # D = 0, R > H: the marginal is too weak
    LEFT = "left line"  # R = 0, D > H: the decoder is too weak
    INTERIOR = "interior"  # feasible, neither bound tight
    INFEASIBLE = "infeasible"  # D + R < H, or R < 0, or (discrete data) D < 0


def region(
    rate: float,
    distortion: float,
    entropy: float,
    *,
    tolerance: float | tuple[float, float, float] = 0.01,
    discrete: bool = True,
) -> Region:
    """The region a point lies in; everything in nats.

    ``tolerance`` is the width of a line, or one width each for R, D and D + R: pass a few standard errors for measured
    points. A density has no lossless limit
    and no floor under its distortion: with ``discrete=False`` neither the bottom line nor the autoencoding limit exists.

    >>> region(0.0, 80.0, entropy=80.0).value, region(30.0, 30.0, entropy=80.0).value
    ('autodecoding limit', 'infeasible')
    """
    r, d, s = tolerance if isinstance(tolerance, tuple) else (tolerance,) * 3
    excess = distortion + rate - entropy
    if excess < -s or rate < -r or (discrete and distortion < -d):
        return Region.INFEASIBLE
    left, bottom, tight = rate <= r, discrete and distortion <= d, excess <= s
    if left:
        return Region.AUTODECODING if tight else Region.LEFT
    if bottom:
        return Region.AUTOENCODING if tight else Region.BOTTOM
    return Region.DIAGONAL if tight else Region.INTERIOR


class Behaviour(str, Enum):
    """What a model does with its latent, in the words of Alemi et al. 2018, Fig. 4."""

    AUTODECODER = "autodecoder"  # ignores the latent
    SEMANTIC = "semantic encoder"  # keeps the class
    SYNTACTIC = "syntactic encoder"  # keeps class and style
    AUTOENCODER = "autoencoder"  # keeps the pixels


_MNIST_LIMITS = ((1.0, Behaviour.AUTODECODER), (20.0, Behaviour.SEMANTIC), (140.0, Behaviour.SYNTACTIC))


def behaviour(rate: float, data: str) -> Behaviour | None:
    """The behaviour category of a model of this rate (nats); ``None`` for data other than MNIST.

    The limits 1, 20 and 140 nats are a rule of ours that agrees with the four published models of section 4; what a rate
    means depends on the data, so no other data set gets a category.

    >>> behaviour(6.2, "static_mnist").value
    'semantic encoder'
    >>> behaviour(6.2, "digits") is None
    True
    """
    if "mnist" not in data.lower() or "color" in data.lower():
        return None
    return next((name for limit, name in _MNIST_LIMITS if rate < limit), Behaviour.AUTOENCODER)

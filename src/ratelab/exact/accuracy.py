"""How accurate any classifier of a latent can be, given the nats the latent carries (Xiao and Bamler 2023, eq. 11 and App. B).

f(accuracy) <= I(y; z) <= R(z_>=l) for every classifier of z (Meyen 2016; the same inequality as Fano's), with M classes and
f(a) = H[p(y)] - H2(a) - (1 - a) log(M - 1). f rises strictly from a = 1/M, so its inverse turns nats into the highest accuracy they allow.
No torch here: the page draws this bound.
"""

import math
from collections.abc import Sequence

from ratelab.core.errors import UserError


def information_needed(accuracy: float, classes: int, entropy: float | None = None) -> float:
    """f(accuracy), nats: what a latent carries about the label at least where a classifier of it is that accurate.

    ``entropy``: H[p(y)] in nats, log M (balanced labels) by default. Rises with the accuracy from 1/M on.

    >>> round(information_needed(0.9, 10), 6), round(information_needed(1.0, 10), 6)
    (1.75778, 2.302585)
    """
    _check(classes, entropy)
    if not 0 <= accuracy <= 1:
        raise UserError(f"accuracy: must lie in [0, 1]; got {accuracy:g}")
    wrong = 1 - accuracy
    return _entropy(classes, entropy) + _xlogx(accuracy) + _xlogx(wrong) - wrong * math.log(classes - 1)


def highest_accuracy(information: float, classes: int, entropy: float | None = None) -> float:
    """The inverse of :func:`information_needed`: no classifier of a latent that carries ``information`` nats is more accurate.

    1 where the information is f(1) = H[p(y)] or more, 1/M where it is f(1/M) = H[p(y)] - log M or less.

    >>> round(highest_accuracy(1.0, 10), 6), highest_accuracy(3.0, 10), highest_accuracy(0.0, 10)
    (0.689217, 1.0, 0.1)
    """
    _check(classes, entropy)
    low, high = 1 / classes, 1.0
    if information >= information_needed(high, classes, entropy):
        return high
    if information <= information_needed(low, classes, entropy):
        return low
    while True:
        middle = 0.5 * (low + high)
        if middle in (low, high):
            return middle
        if information_needed(middle, classes, entropy) < information:
            low = middle
        else:
            high = middle


def labels_behind(limits: Sequence[tuple[float, float]]) -> tuple[int, float] | None:
    """The number of classes and H[p(y)] in nats from pairs of :func:`highest_accuracy` and its information; None where they do not tell.

    f(a) is linear in H[p(y)] and log(M - 1), so that two pairs of accuracies between 1/M and 1 fix both.

    >>> classes, entropy = labels_behind([(i, highest_accuracy(i, 10, 2.29)) for i in (0.5, 1.0)])
    >>> classes, round(entropy, 6)
    (10, 2.29)
    """
    told = sorted({(round(a, 9), i) for i, a in limits if i > 1e-6 and a < 1 - 1e-9})
    if len({a for a, _ in told}) < 2:
        return None
    (low, little), (high, much) = told[0], told[-1]
    left, right = (i - _xlogx(a) - _xlogx(1 - a) for i, a in ((little, low), (much, high)))  # H - (1 - a) log(M - 1)
    others = (right - left) / (high - low)
    return round(math.exp(others)) + 1, left + (1 - low) * others


def label_entropy(counts: list[int]) -> float:
    """H[p(y)] in nats from how often each label occurs.

    >>> round(label_entropy([5, 5]), 6)
    0.693147
    """
    total = sum(counts)
    return -sum(_xlogx(count / total) for count in counts)


def _check(classes: int, entropy: float | None) -> None:
    if classes < 2:
        raise UserError(f"classes: an accuracy says something from two classes on; got {classes}")
    if entropy is not None and not 0 <= entropy <= math.log(classes) * (1 + 1e-12):
        raise UserError(f"entropy: labels of {classes} classes have 0 to {math.log(classes):.6g} nats; got {entropy:g}")


def _entropy(classes: int, entropy: float | None) -> float:
    return math.log(classes) if entropy is None else entropy


def _xlogx(x: float) -> float:
    return x * math.log(x) if x > 0 else 0.0

"""Leapfrog steps: a reversible map of position and momentum that keeps volumes (Salimans, Kingma and Welling 2015; K19, section 3.3)."""

from collections.abc import Callable

from torch import Tensor

Force = Callable[[Tensor], Tensor]


def leapfrog(z: Tensor, v: Tensor, force: Force, step: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """``steps`` steps of size ``step`` along ``force``, the gradient of log p(x, z) in z: (position, momentum) -> the same.

    log |det| is 0, the energy error O(step^2). Negating the momentum before and after runs it backwards.
    """
    pull = force(z)
    for _ in range(steps):
        v = v + 0.5 * step * pull
        z = z + step * v
        pull = force(z)
        v = v + 0.5 * step * pull
    return z, v


def leapfrog_back(z: Tensor, v: Tensor, force: Force, step: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """The inverse of :func:`leapfrog`."""
    z, v = leapfrog(z, -v, force, step, steps)
    return z, -v

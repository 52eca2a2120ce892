"""``RUN@beta=0.5``: the name of what a run is at one beta, where its model was conditioned on beta. No torch here."""

from collections.abc import Mapping, Sequence
from typing import Any

from ratelab.core.errors import UserError

Condition = Mapping[str, Any]
"""``{"beta": 0.5}``, or ``{"beta": [0.5, 2.0]}`` where the layers' differ, top layer first."""

SIGN = "@beta="


def condition(betas: Sequence[float]) -> dict[str, Any]:
    """The condition of a model used at ``betas``, one for all layers or one for each.

    >>> condition([0.5, 0.5]), condition([0.5, 2.0])
    ({'beta': 0.5}, {'beta': [0.5, 2.0]})
    """
    return {"beta": betas[0] if len(set(betas)) == 1 else list(betas)}


def betas_of(given: Condition) -> tuple[float, ...]:
    """The numbers of a condition: one for all layers, or one for each."""
    beta = given["beta"]
    return tuple(map(float, beta)) if isinstance(beta, (list, tuple)) else (float(beta),)


def suffix(given: Condition | None) -> str:
    """What a condition adds to the name of a run, and to the names of its arrays; nothing where there is none.

    >>> suffix({"beta": [0.5, 2.0]}), suffix(None)
    ('@beta=0.5,2', '')
    """
    return "" if given is None else SIGN + ",".join(f"{beta:.10g}" for beta in betas_of(given))


def slug(given: Condition | None) -> str:
    """:func:`suffix` in the letters that names of pictures are made of.

    >>> slug({"beta": 0.5})
    '-at-beta-0_5'
    """
    plain = str.maketrans({"@": "-at-", "=": "-", ",": "-", ".": "_", "+": None})
    return suffix(given).translate(plain)


def parted(name: str) -> tuple[str, tuple[float, ...] | None]:
    """A name as a user types it: the run, and its betas where it says any; :class:`UserError` where they are no numbers.

    >>> parted("runs/3f2a@beta=0.5"), parted("3f2a")
    (('runs/3f2a', (0.5,)), ('3f2a', None))
    """
    run, sign, text = name.rpartition("@")
    if not sign or "/" in text:
        return name, None
    key, _, values = text.partition("=")
    try:
        betas = tuple(float(value) for value in values.split(","))
    except ValueError:
        betas = ()
    if key != "beta" or not betas or not all(0 < beta < float("inf") for beta in betas):
        raise UserError(f"'{name}': expected RUN{SIGN}NUMBER with a beta above 0, e.g. {run or 'RUN'}{SIGN}0.5")
    return run, betas

"""Is one model better than another? Paired differences of per-example values on the same test examples."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ratelab.analysis.family import node
from ratelab.analysis.records import Record
from ratelab.core.errors import UserError
from ratelab.core.estimate import number_to_json
from ratelab.core.units import NAT

QUANTITIES = ("neg_elbo", "rate", "distortion")
Values = NDArray[np.floating]
_UNKNOWN = "per-example '{}' is infinite or unknown for some examples"


@dataclass(frozen=True)
class Difference:
    """The mean of ``first - second`` over n test examples, in nats, with its standard error.

    ``z`` is mean / stderr: beyond 4 in size, chance is a poor explanation. It says nothing about other seeds.
    """

    of: str
    mean: float
    stderr: float
    z: float
    n: int


def paired(first: Record, second: Record, of: str = "neg_elbo") -> Difference:
    """Compare two runs example by example on ``of`` (``neg_elbo``, ``rate`` or ``distortion``).

    Much sharper than comparing two means, because hard examples are hard for both models. Raises :class:`UserError` when a
    run is not finished, when the runs were not evaluated on the same test examples, when one gives probabilities and the
    other densities, or when a value is infinite or unknown.
    """
    a, b = _pair(first, second, of)
    for record, values in ((first, a), (second, b)):
        if not np.isfinite(values).all():
            raise UserError(f"run '{record.run}': {_UNKNOWN.format(of)}; compare another quantity")
    return difference(a - b, of)


def compare_document(first: Record, second: Record) -> dict[str, Any]:
    """The JSON document of ``ratelab frontier --compare --json`` (schema 1): ``first - second``, in nats, for each of
    :data:`QUANTITIES`.

    A difference is ``{"mean", "stderr", "z", "n", "unit"}``; its mean is null, with a ``why``, where a value of either run is infinite
    or unknown. Raises as :func:`paired` does for the rest.
    """
    found = {of: _difference(*_pair(first, second, of), of) for of in QUANTITIES}
    return {"schema": 1, "compare": [first.run, second.run], "differences": found}


def _difference(a: Values, b: Values, of: str) -> dict[str, Any]:
    known = bool(np.isfinite(a).all() and np.isfinite(b).all())
    found = difference(a - b, of) if known else Difference(of, math.nan, math.nan, math.nan, a.size)
    numbers = {name: number_to_json(getattr(found, name)) for name in ("mean", "stderr", "z")}
    record: dict[str, Any] = {**numbers, "n": found.n, "unit": NAT}
    return record if known else {**record, "why": _UNKNOWN.format(of)}


def difference(differences: NDArray[np.floating], of: str = "difference") -> Difference:
    """Mean, standard error and z of paired differences (N,).

    >>> difference(np.array([1.0, 1.0, 4.0]))
    Difference(of='difference', mean=2.0, stderr=1.0, z=2.0, n=3)
    """
    n, mean = differences.size, float(differences.mean())
    stderr = float(differences.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan
    if stderr == 0.0:
        return Difference(of, mean, stderr, math.copysign(math.inf, mean) if mean else 0.0, n)
    return Difference(of, mean, stderr, mean / stderr, n)


def _pair(first: Record, second: Record, of: str) -> tuple[Values, Values]:
    """The values of the same test examples under both runs, (N,) each."""
    a, b = _values(first, of), _values(second, of)
    if _test_set(first) != _test_set(second) or a.shape != b.shape:
        raise UserError(
            f"runs '{first.run}' and '{second.run}' have different test sets ({_name(first)}, {a.size} examples; "
            f"{_name(second)}, {b.size} examples); compare runs on the same data"
        )
    if first.density != second.density and of != "rate":
        given, other = (first, second) if first.density else (second, first)
        raise UserError(
            f"run '{given.run}' gives densities and run '{other.run}' probabilities, which share no scale; "
            "compare runs of one kind"
        )
    return a, b


def _values(record: Record, of: str) -> Values:
    if not record.estimates:
        raise UserError(f"run '{record.run}' has no measurements to compare ({record.status}); choose one that is done")
    arrays = record.per_example
    if of not in arrays or arrays[of].ndim != 1:
        scalars = ", ".join(sorted(name for name, array in arrays.items() if array.ndim == 1))
        raise UserError(f"run '{record.run}' has no per-example '{of}'; it has: {scalars}")
    return arrays[of].astype(np.float64)


def _test_set(record: Record) -> tuple[object, object]:
    """What pins the test examples: the recipe's data node and the hash of the data's content."""
    return node(record.recipe["data"]), record.provenance.get("data")


def _name(record: Record) -> str:
    return str(node(record.recipe["data"])["name"])

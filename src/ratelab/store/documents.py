"""A run's JSON documents, looked at once when they are read, so that no reader has to doubt them.

Each reader raises :class:`UserError` in one line that names the file and the remedy: for what cannot be parsed, for what a newer RateLab
wrote, and for what parses but is not what it should be.
"""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from ratelab.core.errors import UserError
from ratelab.core.estimate import Bound, Estimate
from ratelab.store.files import read_json

SCHEMA = 1
STATUSES = ("done", "running", "failed", "diverged")
SECTIONS = ("data", "model", "objective")  # of a recipe: what every reader looks at
ALWAYS = ("rate", "rates", "distortion", "neg_elbo")  # the estimates of every run that is done
BITS = ("n", "bytes", "bits_per_example", "first_example_overhead_bits")  # of compressed examples

Document = dict[str, Any]


class _Damage(Exception):
    """What is wrong with a document."""


def read_results(path: Path, advice: str) -> Document:
    """The content of ``results.json``."""
    return _read(path, advice, _look_at_results)


def read_recipe(path: Path, advice: str) -> Document:
    """The content of ``recipe.json``: data, model and objective have names; more is known by those who build them."""
    return _read(path, advice, _look_at_recipe)


def read_provenance(path: Path, advice: str) -> Document:
    """The content of ``provenance.json``."""
    return _read(path, advice, _look_at_provenance)


def _read(path: Path, advice: str, look: Callable[[Document], None]) -> Document:
    document = read_json(path, advice)
    schema = document.get("schema", SCHEMA)
    try:
        _must(isinstance(schema, int) and schema >= 1, "it names no schema")
        if schema > SCHEMA:
            raise UserError(f"{path} was written by a newer RateLab (schema {schema}, this one knows {SCHEMA}); upgrade")
        look(document)
    except _Damage as damage:
        raise UserError(f"{path} is corrupt ({damage}); {advice}") from None
    return document


def _look_at_results(document: Document) -> None:
    for key in ("run", "recipe", "status", "estimates", "validation"):
        _must(key in document, f"it has no '{key}'")
    _must(document["status"] in STATUSES, f"its status is none of {', '.join(STATUSES)}")
    _look_at_recipe(_mapping(document["recipe"], "recipe"))
    _look_at_estimates(document)
    _look_at_bits(document.get("bits"))
    for point in document.get("points", ()):
        _look_at_point(_mapping(point, "points"))
    if document["status"] == "done":
        missing = [name for name in ALWAYS if _absent(document["estimates"], name)]
        _must(not missing, f"it has no estimate '{missing[0] if missing else ''}'")


def _absent(estimates: Document, name: str) -> bool:
    """Whether an estimate is missing; a model without latents has a rate of 0 and an empty list of rates."""
    found = estimates.get(name)
    none = name == "rates" and found == [] and _mapping(estimates.get("rate", {}), "rate").get("value") == 0
    return not found and not none


def _look_at_estimates(document: Document) -> None:
    for split in ("estimates", "validation"):
        for name, entry in _mapping(document[split], split).items():
            for estimate in entry if isinstance(entry, list) else [entry]:
                _must(_is_estimate(estimate), f"'{split}.{name}' is no estimate")


def _look_at_bits(bits: Any) -> None:
    """What test examples take when compressed, where that was tried."""
    if bits is None:
        return
    found, nominal = _mapping(bits, "bits"), _mapping(bits, "bits").get("nominal_bits_per_example")
    numbers = [found.get(key) for key in BITS] + ([] if nominal is None else [nominal])
    _must(all(isinstance(n, (int, float)) and math.isfinite(n) and n >= 0 for n in numbers), "'bits' are no numbers")
    _must(found["n"] >= 1, "'bits' are of no example")


def _look_at_point(point: Document) -> None:
    for key in ("condition", "estimates", "validation"):
        _must(key in point, f"one of its points has no '{key}'")
    beta = _mapping(point["condition"], "condition").get("beta")
    betas = beta if isinstance(beta, list) and beta else [beta]
    _must(all(isinstance(b, (int, float)) and b > 0 for b in betas), "one of its points has no beta")
    _look_at_estimates(point)


def _look_at_recipe(document: Document) -> None:
    for section in SECTIONS:
        node = document.get(section)
        name = node.get("name") if isinstance(node, Mapping) else node
        _must(isinstance(name, str), f"its '{section}' has no name")


def _look_at_provenance(document: Document) -> None:
    seconds = _mapping(document.get("seconds", {}), "seconds")
    _must(all(isinstance(value, (int, float)) for value in seconds.values()), "'seconds' are no numbers")
    for key in ("started", "finished"):
        if document.get(key) is not None:
            _must(_is_time(document[key]), f"'{key}' is no time")


def _is_estimate(entry: Any) -> bool:
    try:
        estimate = Estimate.from_json(entry)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        return False
    return isinstance(estimate.of, str) and isinstance(estimate.unit, str) and estimate.bound in get_args(Bound)


def _is_time(value: Any) -> bool:
    try:
        datetime.fromisoformat(value)
    except (ValueError, TypeError):
        return False
    return True


def _mapping(value: Any, key: str) -> Document:
    _must(isinstance(value, dict), f"'{key}' holds no names")
    return dict(value)


def _must(holds: bool, damage: str) -> None:
    if not holds:
        raise _Damage(damage)

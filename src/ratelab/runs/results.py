"""The record of one run, as it lies in ``results.json`` and as ``--json`` prints it.

``{"schema": 1, "run": id, "recipe": {"data", "model", "objective", ...}, "status": "done" | "running" | "failed" | "diverged",
"estimates": {name: estimate}, "validation": {name: estimate}}`` and, for a run that failed, diverged or missed the target it was given,
``"why"``: one line.

An estimate is ``{"value", "stderr", "n", "unit", "bound", "of"}``; ``rates`` is a list of them, top layer first. A value is a
number, ``"inf"``, or null (unknown) with a ``"why"`` of its own. ``estimates`` are of the test split, and what choices
(early stopping, the best model of a task) look at is under ``validation``. Every run that is done has at least ``rate`` (total),
``rates``, ``distortion`` and ``neg_elbo`` (their sum, on the same samples).

A run that was measured with the help of other runs (critics, densities, classifiers) has ``"helpers"``: for each such estimator
``{"run": id, "seed", "seconds"}``, which run helped, its seed and how long its training took; of a classifier also ``"accuracy"``, an
estimate on the test split.

A run whose model was conditioned on beta also has ``"points"``, what it is at several betas: a list of ``{"condition": {"beta": 0.5},
"estimates", "validation"}`` by rising beta, where beta is a list, top layer first, if the layers' differ. Its own ``estimates`` are at
beta 1, or the beta nearest to it.

A run whose test examples were compressed has ``"bits"``: ``{"n", "bytes", "bits_per_example", "nominal_bits_per_example",
"first_example_overhead_bits"}``, nominal ones being D + R of the same ``n`` examples (null where it is unknown).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ratelab.core.estimator import Result
from ratelab.store import RunFolder

SCHEMA = 1
Status = Literal["done", "running", "failed", "diverged"]
Results = dict[str, Any]


def record(
    run: str,
    recipe: Mapping[str, Any],
    status: Status,
    estimates: Mapping[str, Result] | None = None,
    validation: Mapping[str, Result] | None = None,
    why: str = "",
    points: Sequence[Results] = (),
    helpers: Mapping[str, Any] | None = None,
) -> Results:
    """A record with its estimates as plain JSON data; ``points`` and ``helpers`` are such data already."""
    document: Results = {
        "schema": SCHEMA,
        "run": run,
        "recipe": dict(recipe),
        "status": status,
        "estimates": plain(estimates or {}),
        "validation": plain(validation or {}),
    }
    if points:
        document["points"] = list(points)
    if helpers:
        document["helpers"] = dict(helpers)
    return {**document, "why": why} if why else document


def plain(estimates: Mapping[str, Result]) -> dict[str, Any]:
    """Named estimates as JSON data."""
    return {
        name: [entry.to_json() for entry in result] if isinstance(result, list) else result.to_json()
        for name, result in estimates.items()
    }


def known(folder: RunFolder) -> Results:
    """What is known of a run that was started: its results, or a record with status ``running`` until it has some."""
    return folder.results() or record(folder.id, recipe_document(folder), "running")


def finished(folder: RunFolder) -> Results | None:
    """The results of a run that needs no more work (done or diverged), else None; a failed run is tried again."""
    results = folder.results()
    return results if results is not None and results["status"] in {"done", "diverged"} else None


def recipe_document(folder: RunFolder) -> dict[str, Any]:
    """The resolved recipe of a run that was started."""
    return {key: value for key, value in folder.recipe().items() if key != "schema"}

"""Which runs helped to measure others: a line for each, with the accuracy of a classifier that judged."""

from collections.abc import Iterable, Mapping
from typing import Any

from ratelab.analysis.records import Record
from ratelab.core.at import SIGN, Condition, suffix
from ratelab.core.estimate import Estimate

JUDGED = {
    "inception_score": "inception-score",
    "diversity": "inception-score",
    "sharpness": "inception-score",
    "reconstruction_accuracy": "reconstruction-accuracy",
    "reconstruction_entropy": "reconstruction-accuracy",
    "fid": "fid",
}  # scores that are as good as the classifier behind them, and the estimators that measure them


def helped(results: Mapping[str, Any], given: Condition | None = None) -> list[str]:
    """Lines such as ``fid: judged by run 3f2a..., test accuracy 98.6 ± 0.1 % (seed 0, trained in 60 s)``, from a run's results.

    ``given``: the condition of one of its points, for the helpers of that point's estimates.
    """
    names: dict[str, list[str]] = {}
    used: dict[str, Mapping[str, Any]] = {}
    for name, helper in _at(results, given).items():
        names.setdefault(helper["run"], []).append(name)
        used[helper["run"]] = helper
    return [f"{', '.join(names[run])}: {_told(helper)}" for run, helper in used.items()]


def judges(records: Iterable[Record], scores: Iterable[str]) -> str:
    """``judged by run 3f2a..., test accuracy 98.6 ± 0.1 %`` where classifiers judged these runs for any of the scores; else nothing."""
    estimators = {JUDGED[score] for score in scores if score in JUDGED}
    helpers = [pair for record in records for pair in _at(record.results, record.condition).items()]
    found = [_judged(used) for name, used in helpers if name.partition(SIGN)[0] in estimators and "accuracy" in used]
    return "; ".join(dict.fromkeys(found))


def _at(results: Mapping[str, Any], given: Condition | None) -> dict[str, Mapping[str, Any]]:
    """Estimator -> the helper it had: for the run's point at a condition, or for all that the run was measured with."""
    end = suffix(given)
    return {name.removesuffix(end): used for name, used in results.get("helpers", {}).items() if name.endswith(end)}


def _told(helper: Mapping[str, Any]) -> str:
    cost = "" if helper["seconds"] is None else f", trained in {helper['seconds']:.0f} s"
    by = _judged(helper) if "accuracy" in helper else f"helped by run {helper['run']}"
    return f"{by} (seed {helper['seed']}{cost})"


def _judged(helper: Mapping[str, Any]) -> str:
    accuracy = Estimate.from_json(helper["accuracy"])
    return f"judged by run {helper['run']}, test accuracy {100 * accuracy.value:.1f} ± {100 * accuracy.stderr:.1f} %"

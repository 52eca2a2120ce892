"""The qualitative claims of Xiao and Bamler 2023 (spec 2.8), counted on every grid of a store, one table each.

    ratelab sweep xiao2023/mnist-grid@small training.epochs=8 training.validate_every=8 \\
        objective.beta.0=log:0.1:10:7 objective.beta.1=log:0.1:10:7 --store grid
    ratelab evaluate grid --estimators 'label-information,{name: downstream, limit: 1000},{name: inception-score, samples: 1000}'
    python benchmarks/hierarchy_claims.py grid

"rank" is Spearman's correlation over the runs of a grid. A weight is that of a rate in the least-squares fit of a score's ranks to the
ranks of both rates, so that what one rate explains is not counted for the other. Best runs are chosen on the validation split, and all
numbers are of the test split.
"""

import argparse
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr

from ratelab.analysis.choice import Task, prices
from ratelab.analysis.landscape import Landscape, optimal, score
from ratelab.analysis.plane import planes
from ratelab.core.estimate import Estimate

Array = NDArray[np.float64]
Row = tuple[str, str, bool | None]
"""A claim, what was measured, and whether it holds; None where the grid cannot tell."""
READERS = {"logistic": "linear", "linear_svm": "linear", "rbf_svm": "expressive", "knn": "expressive"}


VERDICTS = {True: "holds", False: "does not hold", None: "cannot be told"}


def told_by(number: float, holds: bool) -> bool | None:
    """``holds``, or None where ``number``, which it was judged by, is unknown."""
    return bool(holds) if np.isfinite(number) else None


def rates(land: Landscape) -> Array:
    """(runs, 2): the rate of the top layer and that of the lower one."""
    return np.array([[rate.value for rate in point.rates] for point in land.points])


def values(land: Landscape, task: Task) -> Array:
    """(runs,), NaN where the score is not known."""
    return np.array([np.nan if (v := score(p, task)) is None else v for p in land.points], dtype=float)


def rank(a: Array, b: Array) -> float:
    known = np.isfinite(a) & np.isfinite(b)
    if min(len(set(a[known])), len(set(b[known]))) < 2:
        return float("nan")  # what does not vary goes with nothing
    return float(spearmanr(a[known], b[known]).statistic)


def weights(of: Array, on: Array) -> Array:
    """The two weights of the ranks of ``on`` (runs, 2) in the fit of the ranks of ``of``; NaN where one of them does not vary."""
    known = np.isfinite(of)
    ranks = np.stack([rankdata(column) for column in (*on[known].T, of[known])], -1)
    if len(ranks) < 3 or (np.ptp(ranks, axis=0) == 0).any():
        return np.full(2, np.nan)
    ranks = (ranks - ranks.mean(0)) / ranks.std(0)
    return np.asarray(np.linalg.lstsq(ranks[:, :2], ranks[:, 2], rcond=None)[0])


def best(task: Task) -> str:
    upper, lower = prices(task.best) or (np.nan, np.nan)
    found = task.values[task.best.run]
    place = ", ".join(f"{rate.value:.1f}" for rate in task.best.rates)
    return f"{task.name} {found.value:.3f} ± {found.stderr:.3f} at ({upper:.3g}, {lower:.3g}), R = ({place})"


def one_optimum(land: Landscape, known: dict[str, Task]) -> list[Row]:
    names = ("psnr", "inception_score", "accuracy_rbf_svm, layer 2")
    if any(name not in known for name in names):
        return []
    found = [prices(known[name].best) for name in names]
    told = "; ".join(best(known[name]) for name in names)
    diagonal = [name for name, betas in zip(names, found, strict=True) if betas and betas[0] == betas[1]]
    return [
        ("no pair of prices is best for PSNR, Inception score and accuracy at once", told, len(set(found)) > 1),
        ("none of the three optima lies on the diagonal", f"on it: {', '.join(diagonal) or 'none'}", not diagonal),
    ]


def reconstruction(land: Landscape, known: dict[str, Task]) -> list[Row]:
    if "psnr" not in known:
        return []
    total, psnr = rates(land).sum(-1), values(land, known["psnr"])
    correlation = rank(total, psnr)
    sides = [np.sign(betas[0] - betas[1]) for p in optimal(land, known["psnr"]) if (betas := prices(p)) is not None]
    above, on, below = (sum(side == sign for side in sides) for sign in (1, 0, -1))
    told = f"of {len(sides)} hull models {above} have beta_2 > beta_1, {on} equal, {below} beta_2 < beta_1"
    return [
        ("PSNR rises with the total rate", f"rank {correlation:.3f}", told_by(correlation, correlation > 0.9)),
        (
            "at a given total rate the best PSNR has beta_2 > beta_1: rate moves to the lower layer",
            told,
            above > max(on, below),
        ),
    ]


def generation(land: Landscape, known: dict[str, Task]) -> list[Row]:
    if "inception_score" not in known:
        return []
    both, found = rates(land), known["inception_score"]
    place = land.points.index(found.best)
    share = [float((both[:, k] <= both[place, k]).mean()) for k in (0, 1)]
    logs = {name: np.log(values(land, known[name])) for name in ("inception_score", "diversity", "sharpness")}
    whole = float(logs["inception_score"].var(ddof=1))
    spread = {name: float(np.cov(logs[name], logs["inception_score"])[0, 1] / whole) if whole > 0 else np.nan for name in logs}
    betas = prices(found.best) or (np.nan, np.nan)
    return [
        ("the best Inception score has beta_2 < beta_1 (published for SVHN)", best(found), betas[0] < betas[1]),
        (
            "the best Inception score has a high rate of the lower layer (published for MNIST)",
            f"{share[1]:.0%} of the runs have no more R_1 than the best, {share[0]:.0%} no more R_2",
            share[1] > 0.75,
        ),
        (
            "sharpness drives the Inception score (published for SVHN)",
            f"share of the variance of its logarithm: sharpness {spread['sharpness']:.0%}, diversity {spread['diversity']:.0%}",
            told_by(spread["sharpness"], spread["sharpness"] > spread["diversity"]),
        ),
    ]


def labels(land: Landscape, known: dict[str, Task]) -> list[Row]:
    rows: list[Row] = []
    both = rates(land)
    if "label_information" in known:
        upper, lower = weights(values(land, known["label_information"]), both)
        told = f"weights {upper:.2f} of R_2, {lower:.2f} of R_1"
        rows.append(("I_q(y; z_2) depends mainly on R_2", told, told_by(upper, abs(upper) > 2 * abs(lower))))
    over, n, most = 0, 0, -1.0
    for kind in READERS:
        task = known.get(f"accuracy_{kind}, layer 2")
        for point in land.points if task else []:
            limit, found = point.record.estimates.get("accuracy_limit"), score(point, task)
            if isinstance(limit, Estimate) and found is not None:
                n, over, most = n + 1, over + (found > limit.value), max(most, found - limit.value)
    if n:
        told = f"{over} of {n} accuracies lie above it, by {most:+.3f} at most"
        rows.append(("accuracies on modes of z_2 lie below the limit of I_q(y; z_2) (not guaranteed)", told, over == 0))
    for kind, power in READERS.items():
        task = known.get(f"accuracy_{kind}, layer 2")
        if task is not None:
            upper, lower = weights(values(land, task), both)
            told = f"weights {upper:+.2f} of R_2, {lower:+.2f} of R_1; best: {best(task)}"
            claim = "more R_2 helps" if power == "expressive" else "more R_1 helps too"
            weight = upper if power == "expressive" else lower
            rows.append((f"{kind.replace('_', ' ')} on z_2 ({power}): {claim}", told, told_by(weight, weight > 0.1)))
    return rows


def trends(land: Landscape) -> list[Row]:
    rows: list[Row] = []
    for k, name in enumerate(("R_2", "R_1")):
        axis, other = (land.upper, land.lower) if k == 0 else (land.lower, land.upper)
        steps = falls = 0
        for fixed in other:
            line = [land.cells.get((b, fixed) if k == 0 else (fixed, b)) for b in axis]
            series = [p.rates[k].value for p in line if p is not None]
            steps += max(0, len(series) - 1)
            falls += sum(after < before for before, after in pairwise(series))
        rows.append(
            (f"{name} falls in its own price", f"in {falls} of {steps} steps", falls >= 0.95 * steps if steps else None)
        )
    return rows


def print_table(title: str, rows: Sequence[Row]) -> None:
    print(f"\n### {title}\n\n| claim | measured | |\n| --- | --- | --- |")
    for claim, told, holds in rows:
        print(f"| {claim} | {told} | {VERDICTS[holds]} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    for plane in planes(parser.parse_args().store):
        for land in plane.landscapes:
            known = {task.name: task for task in land.tasks}
            rows = [row for check in (one_optimum, reconstruction, generation, labels) for row in check(land, known)]
            print_table(f"{plane.data}: {land.family}, {len(land.cells)} runs", [*trends(land), *rows])


if __name__ == "__main__":
    main()

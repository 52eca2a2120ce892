"""Xiao and Bamler 2023, Fig. 1 in small: what prices are best depends on what is asked. Two layers on the embedded digits."""

from pathlib import Path

import pytest

from ratelab.core.estimate import Estimate
from ratelab.runs import Circumstances, expand, read_recipe, sweep
from ratelab.runs.results import Results
from ratelab.store import Store

PRICES = (0.01, 0.1, 1.0)
CLASSIFIER = """
data: digits
model: {name: classifier, network: small}
optimiser: {name: adam, lr: 2e-3, constant: 0.5}
training: {epochs: 20, batch_size: 64, validate_every: 20}
evaluation: {estimators: [rate-distortion, accuracy]}
"""
SCORES = ("psnr", "label_information", "inception_score")


def worse(store: Store, score: str, best: Results, other: Results) -> float:
    """How many standard errors ``other`` is behind ``best``: squared errors image by image, the other scores as independent."""
    if score == "psnr":
        errors = [store.run(results["run"]).per_example()["squared_error"] for results in (other, best)]
        gap = errors[0] - errors[1]
        return float(gap.mean() / (gap.std(ddof=1) / len(gap) ** 0.5))
    ahead, behind = (Estimate.from_json(results["estimates"][score]) for results in (best, other))
    return float((ahead.value - behind.value) / (ahead.stderr**2 + behind.stderr**2) ** 0.5)


@pytest.mark.slow
@pytest.mark.spec("HV48")
def test_reconstruction_representation_and_generation_each_want_prices_of_their_own(tmp_path: Path) -> None:
    """Each of the three scores has its best model elsewhere, and the models that are best for the others are worse at it."""
    (tmp_path / "classifier.yaml").write_text(CLASSIFIER)
    inception = f"{{name: inception-score, classifier: {tmp_path / 'classifier.yaml'}, samples: 2000}}"
    grid = expand(read_recipe("digits/hierarchy"), [
        "objective.beta=[1, 1]",
        *(f"objective.beta.{layer}={','.join(map(str, PRICES))}" for layer in (0, 1)),
        f"evaluation.estimators=[rate-distortion, psnr, label-information, {inception}]",
    ])  # fmt: skip
    store, found = Store.create(tmp_path / "runs"), {}
    for results in sweep(grid, store, Circumstances(), workers=1):
        found[tuple(results["recipe"]["objective"]["beta"])] = results
    assert len(found) == len(PRICES) ** 2
    best = {name: max(found, key=lambda prices: found[prices]["estimates"][name]["value"]) for name in SCORES}
    assert len(set(best.values())) == len(SCORES), best
    for name in SCORES:
        for other in set(SCORES) - {name}:
            behind = worse(store, name, found[best[name]], found[best[other]])
            print(name, best[name], best[other], behind)
            assert behind > 1, f"{name}: {best[name]} is {behind:.1f} standard errors before {best[other]}"

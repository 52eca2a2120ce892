"""A grid of imaginary two-layer models, written by hand in the format of run folders."""

import math
from pathlib import Path
from typing import Any

from ratelab.core.estimate import Estimate
from ratelab.exact.accuracy import highest_accuracy
from synthetic_store import recipe, write_run

AXIS = (0.1, 1.0, 10.0)
TWO = {"name": "hierarchy", "latent_dim": [4, 8], "encoder": {"name": "gaussian"}, "decoder": {"name": "mlp"}}
READERS = {"logistic": 0.6, "linear_svm": 0.65, "rbf_svm": 0.95, "knn": 0.9}


def estimate(value: float, unit: str = "1") -> dict[str, Any]:
    return Estimate(value, 0.01, 200, of="imagined", bound="estimate", unit=unit).to_json()


def few_scores(rates: list[float]) -> dict[str, Any]:
    """PSNR rises with the total rate, kNN with the top layer's."""
    accuracies = [estimate(0.9 - 0.4 / (1 + rates[0]) - 0.01 * rate) for rate in rates]
    return {"psnr": estimate(10 + 2 * math.log(sum(rates)), "dB"), "accuracy_knn": accuracies}


def all_scores(rates: list[float]) -> dict[str, Any]:
    """Every score of Xiao and Bamler 2023, each best at prices of its own."""
    top, lower = rates
    information = min(0.4 * top, 2.25)
    limit = highest_accuracy(information, 10)
    readers = {
        f"accuracy_{kind}": [estimate(share * limit), estimate(share * 0.5 + 0.01 * lower)] for kind, share in READERS.items()
    }
    diversity, sharpness = 8 + 0.1 * top, 0.5 + 0.02 * top - 0.002 * (lower - 6) ** 2
    return {
        "psnr": estimate(10 + 2 * math.log(sum(rates)), "dB"),
        "label_information": estimate(information, "nat"),
        "accuracy_limit": estimate(limit),
        "inception_score": estimate(diversity * sharpness),
        "diversity": estimate(diversity),
        "sharpness": estimate(sharpness),
        **readers,
    }


def write_grid(
    store: Path,
    axis: tuple[float, ...] = AXIS,
    holes: tuple[tuple[float, float], ...] = (),
    scores: Any = few_scores,
    data: str = "digits",
    pictures: bool = True,
) -> Path:
    """One run for each pair of prices (beta_2, beta_1) but the ``holes``; each layer's rate falls in its own price."""
    for a in axis:
        for b in axis:
            if (a, b) in holes:
                continue
            rates = [6 / (1 + a), 14 / (1 + b) + 2 / (1 + a)]
            found = scores(rates)
            given: dict[str, Any] = recipe(1.0, TWO, data)
            given["objective"]["beta"] = [a, b]
            name = f"{a:g}x{b:g}" + ("" if data == "digits" else data)
            folder = write_run(store, name, rates, 30 - 0.8 * sum(rates), given=given, changes=found, pictures=pictures)
            results = folder.results() or {}
            folder.write_results({**results, "validation": {**results["validation"], **found}})
    return store

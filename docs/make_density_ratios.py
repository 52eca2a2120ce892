"""Measures the tables of docs/results/density-ratios.md: one VAE, its KL(q(z) || m(z)) by Monte Carlo, by critics and by density models.

python docs/make_density_ratios.py --store density-ratios            on 10 000 images of static MNIST, half an hour of one core
python docs/make_density_ratios.py --store ratios-digits --data digits --epochs 60   on scikit-learn's digits, which need no download

What is trained already is not trained again: the models and their helpers are runs of the store.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ratelab.core.estimate import Estimate
from ratelab.core.estimator import Result
from ratelab.estimators import ESTIMATORS
from ratelab.evaluation import evaluate
from ratelab.runs import Circumstances, Helpers, execute, open_run, read_recipe, single
from ratelab.store import Store

DATA = {"static-mnist": {"name": "static-mnist", "limit": 10_000, "held_out": 2000}, "digits": {"name": "digits"}}
CRITIC = {"name": "marginal-kl-ratio", "layers": 3, "width": 256, "lr": 5e-4}
CHANGES: tuple[dict[str, Any], ...] = (
    {},
    {"noise": 0.5},
    {"lr": 1e-4},
    {"penalty": 10.0},
    {"dropout": 0.5},
    {"layers": 4},
    {"seed": 1},
)
DENSITIES: tuple[dict[str, Any], ...] = (
    {"name": "marginal-kl-gmm", "components": 100, "lr": 1e-2},
    {"name": "marginal-kl-maf"},
    {"name": "marginal-kl-lstm", "hidden": 64},
)
SHORTER = {"marginal-kl-lstm": 0.75}  # of the steps of the others


def trained(store: Store, data: str, epochs: int) -> str:
    """The run that is measured: an MLP VAE of ten latents."""
    given = ["model.latent_dim=10", f"training.epochs={epochs}", f"training.validate_every={epochs}", "optimiser.lr=1e-3"]
    recipe = single(read_recipe("mnist/vae"), [f"data={json.dumps(DATA[data])}", *given])
    run: str = execute(recipe, store)["run"]
    return run


def measured(store: Store, run: str, node: Mapping[str, Any]) -> tuple[dict[str, Result], dict[str, Any]]:
    """Estimates of one estimator on the test split, and what is known of its helper."""
    found = open_run(store.run(run))
    helper = Helpers(run, found.recipe, store, Circumstances(), execute)
    resolved = ESTIMATORS.resolve(node, "estimator")
    estimates = evaluate(found.model, found.dataset, "test", [resolved], found.recipe.seed, helper=helper)[0]
    return estimates, helper.used.get(node["name"], {})


def sensitivity(store: Store, run: str, steps: int, changes: tuple[dict[str, Any], ...] = CHANGES) -> Iterator[dict[str, Any]]:
    """One record for each configuration of the critic: what was changed, its estimates, its cost."""
    for change in changes:
        estimates, used = measured(store, run, {**CRITIC, "steps": steps, **change})
        yield {"change": change, "estimates": estimates, **used}


def gap(store: Store, run: str, steps: int, nodes: tuple[dict[str, Any], ...] = DENSITIES) -> Iterator[dict[str, Any]]:
    """One record for each density model."""
    for node in nodes:
        estimates, used = measured(store, run, {"steps": round(steps * SHORTER.get(node["name"], 1)), **node})
        yield {"model": node["name"].removeprefix("marginal-kl-"), "estimates": estimates, **used}


def shown(found: Result) -> str:
    assert isinstance(found, Estimate)
    return f"{found.value:.2f} ± {found.stderr:.2f}"


def table(headings: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def comparison_table(reference: Mapping[str, Result], rows: list[dict[str, Any]]) -> str:
    """Every configuration beside Monte Carlo."""
    names = ("marginal_kl_ratio", "marginal_kl_dv", "marginal_kl_nwj")
    body = [["Monte Carlo", shown(reference["marginal_kl"]), "", "", "", ""]]
    for row in rows:
        words = ", ".join(f"{key} {value:g}" for key, value in row["change"].items()) or "as it is"
        draws = row["estimates"]["marginal_kl_draws"].value
        body.append([words, *(shown(row["estimates"][name]) for name in names), f"{draws:.0f}", f"{row['seconds']:.0f} s"])
    return table(["critic", "ratio trick", "Donsker-Varadhan", "NWJ", "draws they rest on", "training"], body)


def gap_table(reference: Mapping[str, Result], rows: list[dict[str, Any]]) -> str:
    """Every density model beside Monte Carlo, with what it falls short by."""
    top = reference["marginal_kl"]
    assert isinstance(top, Estimate)
    body = [["Monte Carlo", shown(top), "", ""]]
    for row in rows:
        (found,) = row["estimates"].values()
        body.append([row["model"], shown(found), f"{top.value - found.value:.2f}", f"{row['seconds']:.0f} s"])
    return table(["density model", "KL(q(z) ∥ m(z))", "short of Monte Carlo", "training"], body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True, help="where the runs lie")
    parser.add_argument("--data", choices=DATA, default="static-mnist")
    parser.add_argument("--steps", type=int, default=2000, help="of each helper")
    parser.add_argument("--epochs", type=int, default=12, help="of the VAE")
    options = parser.parse_args()
    store = Store.create(options.store)
    run = trained(store, options.data, options.epochs)
    reference = measured(store, run, {"name": "marginal-kl"})[0]
    plane = measured(store, run, {"name": "rate-distortion"})[0]
    print(f"run {run}: R = {shown(plane['rate'])}, D = {shown(plane['distortion'])}\n")
    print(comparison_table(reference, list(sensitivity(store, run, options.steps))), end="\n\n")
    print(gap_table(reference, list(gap(store, run, options.steps))))


if __name__ == "__main__":
    main()

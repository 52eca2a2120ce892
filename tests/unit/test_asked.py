"""One vocabulary: beta, rate, rates, distortion mean the same in a recipe, on the command line and in ``rl.VAE``."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from tiny_runs import TINY

from ratelab.core.errors import UserError
from ratelab.runs import from_mapping, resolve, single
from ratelab.runs.grid import expand


def objective(node: Any, *typed: str) -> Mapping[str, Any]:
    return single(from_mapping({**TINY, "objective": node}, "a recipe"), typed).objective


@pytest.mark.parametrize(
    ("node", "name", "option", "value"),
    [
        ({"beta": 0.5}, "beta", "beta", 0.5),
        ({"beta": 0.5, "annealing": 3.0}, "beta", "annealing", 3.0),
        ({"rate": 20.0}, "controlled-rate", "rate", 20.0),
        ({"rates": [5.0, 15.0]}, "controlled-rate", "rate", (5.0, 15.0)),
        ({"distortion": 80.0}, "controlled-distortion", "distortion", 80.0),
    ],
)
def test_a_word_names_the_objective(node: dict, name: str, option: str, value: object) -> None:
    found = resolve({**TINY, "objective": node}).objective
    assert found["name"] == name
    assert found[option] == value


@pytest.mark.parametrize(
    ("node", "typed", "name", "option", "value"),
    [
        ({"name": "beta", "beta": 0.5, "annealing": 2.0}, ["objective.rate=20"], "controlled-rate", "rate", 20.0),
        ("beta", ["objective.rates=[5, 15]"], "controlled-rate", "rate", (5.0, 15.0)),
        ({"rate": 20.0}, ["objective.beta=0.5"], "beta", "beta", 0.5),
        ({"name": "controlled-rate", "rate": 20.0}, ["objective.distortion=9"], "controlled-distortion", "distortion", 9.0),
        ({"name": "controlled-rate", "rate": 20.0}, ["objective.rate=9"], "controlled-rate", "rate", 9.0),
        ({"name": "target-rate", "rate": 20.0}, ["objective.rate=9"], "target-rate", "rate", 9.0),
        ({"name": "beta", "beta": 0.5}, ["objective.annealing=2"], "beta", "beta", 0.5),
    ],
)
def test_what_is_typed_takes_the_place_of_the_recipes_price_or_target(
    node: Any, typed: list[str], name: str, option: str, value: object
) -> None:
    found = objective(node, *typed)
    assert found["name"] == name
    assert found[option] == value


def test_a_sweep_over_targets_starts_from_a_recipe_with_a_price() -> None:
    runs = expand(from_mapping({**TINY, "objective": {"name": "beta", "beta": 0.5}}, "a recipe"), ["objective.rate=2,5,10"])
    assert [run.objective["rate"] for run in runs] == [2.0, 5.0, 10.0]


@pytest.mark.parametrize(
    ("node", "typed", "says"),
    [
        ({"rate": 2.0, "distortion": 3.0}, [], "rate and distortion contradict each other"),
        ({"rate": 2.0, "rates": [3.0]}, [], "rate and rates contradict each other"),
        (
            {"beta": 0.5, "rate": 3.0},
            [],
            "beta and rate contradict each other: the price follows from the target; leave out beta",
        ),
        ("beta", ["objective.rate=2", "objective.beta=3"], "beta and rate contradict"),
        ("beta", ["objective.beta=3", "objective.distortion=2"], "beta and distortion contradict"),
        ({"rate": [2.0, 3.0]}, [], "objective.rate: expected one number, the total; for one per layer, top first, use rates"),
        ({"rates": 3.0}, [], "objective.rates: expected a list, one rate per layer"),
        (
            {"name": "controlled-rate", "rates": [5.0, 15.0]},
            [],
            "objective.rates: 'controlled-rate' calls them rate: {name: controlled-rate, rate: [5.0, 15.0]}",
        ),
        ({"name": "geco", "rates": 5.0}, [], "objective.rates: 'geco' calls them rate: {name: geco, rate: [5, 15]}"),
        (
            {"name": "capacity", "rate": [5.0, 15.0]},
            [],
            "objective.rate: 'capacity' takes one rate, the total; one per layer, top first, take target-rate, controlled-rate, geco",
        ),
        (
            {"name": "capacity", "rates": [5.0, 15.0]},
            [],
            "objective.rates: 'capacity' takes one rate, the total; one per layer",
        ),
        ({"name": "iwae", "rates": [5.0, 15.0]}, [], "objective.rates: 'iwae' takes no rate; one per layer, top first, take"),
        ({"rate": -3.0}, [], "objective.rate: must be greater than 0; got -3"),
        ({"rate": 3.0, "anealing": 2.0}, [], "objective.anealing: unknown key"),
        ({"name": "iwae"}, ["objective.beta=2"], "objective.beta: unknown key 'beta'"),
    ],
)
def test_a_contradiction_is_one_line(node: Any, typed: list[str], says: str) -> None:
    with pytest.raises(UserError, match=re.escape(says)) as caught:
        objective(node, *typed)
    assert "\n" not in str(caught.value)

"""Sweeps expanded: axes, families, spacings, each run once."""

import math
from itertools import pairwise
from typing import Any

import pytest
from tiny_runs import TINY

from ratelab.core.errors import UserError
from ratelab.runs import Recipe, expand, from_mapping, single


def runs(*assignments: str, **sections: Any) -> list[Recipe]:
    return expand(from_mapping({**TINY, **sections}, "tiny"), assignments)


def test_the_last_axis_goes_fastest() -> None:
    pairs = [(run.objective["beta"], run.seed) for run in runs("objective.beta=0.5,1", "seed=3,4")]
    assert pairs == [(0.5, 3), (0.5, 4), (1.0, 3), (1.0, 4)]


@pytest.mark.parametrize("where", ["file", "command line"])
def test_spacings_hold_both_ends(where: str) -> None:
    text = "log:0.1:10:21"
    grid = runs(sweep={"objective.beta": text}) if where == "file" else runs(f"objective.beta={text}")
    betas = [run.objective["beta"] for run in grid]
    assert (len(betas), betas[0], betas[10], betas[-1]) == (21, 0.1, 1.0, 10.0)
    ratios = [b / a for a, b in pairwise(betas)]
    assert max(ratios) / min(ratios) - 1 < 1e-4
    assert [run.objective["beta"] for run in runs("objective.beta=lin:0:1:5")] == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_lists_are_values_when_bracketed() -> None:
    grid = runs("model.encoder.network.hidden=[8],[8,4]")
    assert [run.model["encoder"]["network"]["hidden"] for run in grid] == [(8,), (8, 4)]
    quoted = single(from_mapping(TINY, "tiny"), ["title='a, b'"])
    assert quoted.title == "a, b"


def test_each_run_is_listed_once() -> None:
    assert len(runs("objective.beta=1,1.0,2")) == 2
    assert len(runs(sweep={"title": ["a", "b"]})) == 1


def test_families_go_through_the_whole_grid() -> None:
    families = [{"title": "one", "model.latent_dim": 1}, {"title": "two", "model": {"name": "hierarchy", "latent_dim": [1, 2]}}]
    grid = runs(families=families, sweep={"objective.beta": [0.5, 1]})
    told = [(run.title, run.model["name"], run.model["latent_dim"], run.objective["beta"]) for run in grid]
    assert told == [
        ("one", "vae", 1, 0.5),
        ("one", "vae", 1, 1.0),
        ("two", "hierarchy", (1, 2), 0.5),
        ("two", "hierarchy", (1, 2), 1.0),
    ]


def test_the_command_line_has_the_last_word() -> None:
    swept = {"objective.beta": [0.5, 1], "seed": [1, 2]}
    assert len(runs("objective.beta=3", sweep=swept)) == 2
    assert len(runs("objective.beta=3,4,5", sweep=swept)) == 6
    assert {run.training.epochs for run in runs("training.epochs=9", families=[{"training.epochs": 1}, {"seed": 5}])} == {9}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("objective.beta=log:0:1:5", "log: needs positive ends"),
        ("objective.beta=log:-1:1:5", "log: needs positive ends"),
        ("objective.beta=log:0.1:1", "expected log:FROM:TO:COUNT"),
        ("objective.beta=lin:0:1:1", "at least 2 values"),
        ("objective.beta=lin:0:1:x", "expected lin:FROM:TO:COUNT"),
        ("objective.beta=lin:0:inf:3", "expected lin:FROM:TO:COUNT"),
        ("objective.beta=lin:0:1:1000000", "expected lin:FROM:TO:COUNT"),
        ("objective.beta=0.1,-1", "got -1"),
        ("objective.beta=1,,2", "empty value between commas"),
        ("objective.beta= ", "no value after"),
        ("seed", "expected key=value"),
    ],
)
def test_bad_axes_are_answered(text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        runs(text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"sweep": {"objective.beta": []}}, "sweep.objective.beta: no values; give a list"),
        ({"sweep": {"objective.beta": 3}}, "sweep.objective.beta: no values; give a list"),
        ({"sweep": {"objective..beta": [3]}}, "expected a dotted key"),
        ({"sweep": {"objective.beta": "log:1:2"}}, "sweep.objective.beta: expected log:FROM:TO:COUNT"),
        ({"families": [{}]}, "families: expected a list of mappings"),
        ({"families": [{"modl": "vae"}]}, "unknown key 'modl'; did you mean 'model'?"),
        ({"sweep": {"seed": "lin:0:1:1000", "objective.beta": "lin:0:1:1000"}}, "1000000 runs"),
    ],
)
def test_bad_sweeps_in_a_file_are_answered_with_its_name(sections: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        runs(**sections)
    assert said in str(caught.value)
    assert str(caught.value).startswith("tiny: ")


def test_one_run_is_asked_for_by_training() -> None:
    assert math.isclose(single(from_mapping(TINY, "tiny"), ["objective.beta=0.3"]).objective["beta"], 0.3)
    with pytest.raises(UserError, match="tiny describes 2 runs; use 'ratelab sweep'"):
        single(from_mapping(TINY, "tiny"), ["seed=1,2"])

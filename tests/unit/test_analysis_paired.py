"""Paired comparison of two runs."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from ratelab.analysis.paired import compare_document, difference, paired
from ratelab.analysis.records import read_record
from ratelab.core.errors import UserError
from synthetic_store import densities, recipe, write_run


def test_pairing_removes_what_both_runs_share(tmp_path: Path) -> None:
    first, second = (read_record(write_run(tmp_path, run, [3.0], d)) for run, d in (("a", 5.0), ("b", 4.0)))
    found = paired(first, second, "distortion")
    assert found.mean == pytest.approx(1.0)
    assert found.stderr < 1e-9
    assert found.n == 200
    assert paired(second, first).mean == pytest.approx(-1.0)


def test_the_standard_error_covers_the_truth() -> None:
    draws = np.random.default_rng(3).normal(0.5, 2.0, size=(400, 100))
    z = [(d.mean - 0.5) / d.stderr for d in map(difference, draws)]
    assert np.std(z) == pytest.approx(1.0, abs=4 * (1 / np.sqrt(2 * 400)))


def test_equal_runs_differ_by_nothing(tmp_path: Path) -> None:
    record = read_record(write_run(tmp_path, "a", [3.0], 5.0))
    found = paired(record, record)
    assert (found.mean, found.stderr, found.z) == (0.0, 0.0, 0.0)


def test_other_test_sets_are_refused(tmp_path: Path) -> None:
    one = read_record(write_run(tmp_path, "a", [3.0], 5.0))
    other = read_record(write_run(tmp_path, "b", [3.0], 5.0, given=recipe(data="mnist")))
    with pytest.raises(UserError, match="different test sets"):
        paired(one, other)


def test_infinite_and_missing_values_are_refused(tmp_path: Path) -> None:
    one = read_record(write_run(tmp_path, "a", [3.0], 5.0))
    other = read_record(write_run(tmp_path, "b", [float("inf")], 5.0))
    with pytest.raises(UserError, match="infinite or unknown"):
        paired(one, other, "rate")
    with pytest.raises(UserError, match="it has: distortion, neg_elbo, rate"):
        paired(one, other, "rates")
    (other.folder.path / "per_example.npz").unlink()
    with pytest.raises(UserError, match="evaluated again"):
        paired(one, other)


def test_the_document_compares_all_quantities_and_says_what_it_cannot(tmp_path: Path) -> None:
    first, second, infinite = (
        read_record(write_run(tmp_path, run, [rate], d))
        for run, rate, d in (("a", 3.0, 5.0), ("b", 2.0, 4.5), ("c", math.inf, 1.0))
    )
    found = json.loads(json.dumps(compare_document(first, second), allow_nan=False))
    assert found["compare"] == [first.run, second.run]
    means = {name: entry["mean"] for name, entry in found["differences"].items()}
    assert means == pytest.approx({"neg_elbo": 1.5, "rate": 1.0, "distortion": 0.5})
    assert {(entry["n"], entry["unit"]) for entry in found["differences"].values()} == {(200, "nat")}
    partly = json.loads(json.dumps(compare_document(first, infinite), allow_nan=False))["differences"]
    assert [entry["mean"] is None for entry in partly.values()] == [True, True, False]
    assert "infinite or unknown" in partly["rate"]["why"]


def test_probabilities_do_not_compare_with_densities_nor_with_runs_that_are_not_done(tmp_path: Path) -> None:
    one = read_record(write_run(tmp_path, "a", [3.0], 5.0))
    other = read_record(write_run(tmp_path, "b", [3.0], 5.0, changes=densities([3.0], 5.0)))
    with pytest.raises(UserError, match=r"gives densities and run .* probabilities"):
        paired(one, other)
    assert paired(one, other, "rate").mean == 0.0
    with pytest.raises(UserError, match=r"no measurements to compare \(stopped\); choose one that is done"):
        paired(one, read_record(write_run(tmp_path, "c", status="running")))

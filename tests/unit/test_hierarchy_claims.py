"""The count of the paper's claims on a grid: a verdict only where the grid can tell."""

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from synthetic_grid import all_scores, estimate, write_grid

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "hierarchy_claims.py"


def constant(rates: list[float]) -> dict[str, Any]:
    """Every score of the grid the same for all its runs."""
    return {
        name: [estimate(0.3) for _ in found] if isinstance(found, list) else estimate(2.0 if name != "accuracy_limit" else 0.9)
        for name, found in all_scores(rates).items()
    }


def verdicts(store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    monkeypatch.setattr(sys, "argv", ["hierarchy_claims", str(store)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    return {claim.strip(): verdict.strip() for claim, _, verdict in rows[2:]}


def test_claims_about_a_grid_whose_scores_differ_hold_or_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = verdicts(write_grid(tmp_path, scores=all_scores, pictures=False), monkeypatch, capsys)
    assert found["R_2 falls in its own price"] == found["PSNR rises with the total rate"] == "holds"
    assert found["I_q(y; z_2) depends mainly on R_2"] == "holds"
    assert set(found.values()) == {"holds", "does not hold"}


def test_scores_that_never_differ_tell_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = verdicts(write_grid(tmp_path, scores=constant, pictures=False), monkeypatch, capsys)
    untold = {claim for claim, verdict in found.items() if verdict == "cannot be told"}
    assert untold >= {
        "PSNR rises with the total rate",
        "I_q(y; z_2) depends mainly on R_2",
        "sharpness drives the Inception score (published for SVHN)",
        "knn on z_2 (expressive): more R_2 helps",
    }


def test_a_price_at_which_no_two_runs_can_be_compared_has_no_trend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    axis = (0.1, 1.0, 10.0)
    holes = tuple((a, b) for a in axis for b in axis if (a, b) not in ((0.1, 0.1), (0.1, 1.0), (1.0, 10.0)))
    found = verdicts(write_grid(tmp_path, axis, holes, all_scores, pictures=False), monkeypatch, capsys)
    assert found["R_2 falls in its own price"] == "cannot be told"
    assert found["R_1 falls in its own price"] == "holds"

"""Sweeps on this machine: every run once, past failures, killed workers and Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import TINY, tiny

from ratelab.core.errors import UserError
from ratelab.runs import Circumstances, Recipe, expand, from_mapping, sweep
from ratelab.store import Store

CODE = Circumstances(allow_code=True)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "runs")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which ``tiny_runs.Counted`` notes down every network that is made; workers inherit the way to it."""
    path = tmp_path / "made"
    path.touch()
    monkeypatch.setenv("COUNTED", str(path))
    return path


def runs(network: str, *assignments: str) -> list[Recipe]:
    code = f"model.encoder.network={{name: custom, code: 'tiny_runs:{network}'}}"
    return expand(from_mapping(TINY, "tiny"), [code, *assignments])


def test_a_sweep_goes_past_failed_runs_and_starts_again_where_it_must(store: Store, made: Path) -> None:
    good = runs("Counted", "seed=1,2")
    bad = runs("Counted", "objective.beta=[1, 2]", "seed=1")
    told: list[tuple[int, int]] = []
    results = sweep(
        [good[0], *bad, good[1]], store, CODE, workers=2, on_result=lambda done, total, _: told.append((done, total))
    )
    assert [r["status"] for r in results] == ["done", "failed", "done"]
    assert [r["recipe"]["seed"] for r in results] == [1, 1, 2]
    assert results[1]["why"].startswith("objective.beta: 2 weights for a model of 1 layer")
    assert store.run(results[1]["run"]).results() == results[1]
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert all(store.run(r["run"]).provenance()["threads"] == 1 for r in results if r["status"] == "done")

    before = len(made.read_text().splitlines())
    assert sweep([*good, good[0]], store, CODE, workers=2) == [results[0], results[2]]
    assert len(made.read_text().splitlines()) == before


def test_a_sweep_of_nothing_is_a_users_mistake(store: Store) -> None:
    with pytest.raises(UserError, match="the sweep has no runs"):
        sweep([], store)
    with pytest.raises(UserError, match="workers: 0 is too few"):
        sweep([tiny()], store, workers=0)


def test_data_that_is_not_there_stops_a_sweep_before_it_starts(store: Store) -> None:
    with pytest.raises(UserError, match="no file"):
        sweep([tiny("data={name: array, path: nowhere.npy}")], store)


def test_a_run_whose_worker_is_killed_is_made_again(store: Store, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEADLY", "1")
    results = sweep(runs("Deadly", "seed=1,2"), store, CODE, workers=2)
    assert [r["status"] for r in results] == ["done", "done"]
    assert len(made.read_text().splitlines()) > 2


@pytest.mark.slow
def test_a_run_that_kills_every_worker_fails_alone(store: Store, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEADLY", "1000")
    plain = expand(from_mapping(TINY, "tiny"), ["seed=1,2,3,4"])
    deadly = runs("Deadly", "seed=7")
    results = sweep([*plain[:2], *deadly, *plain[2:]], store, CODE, workers=2)
    assert [r["status"] for r in results] == ["done", "done", "failed", "done", "done"]
    assert "its worker process died 3 times" in results[2]["why"]
    assert made.read_text().count("made") == 3


TWO_SWEEPS = """
import json, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from ratelab.runs import Circumstances, sweep
from ratelab.store import Store
from test_runs_sweep import runs

if __name__ == "__main__":
    recipes = runs("Counted", "seed=1,2,3", "training.epochs=20")
    results = sweep(recipes, Store.create(sys.argv[2]), Circumstances(allow_code=True), workers=1)
    print(json.dumps(results))
"""


def start(script: str, *arguments: str, folder: Path) -> "subprocess.Popen[str]":
    path = folder / "script.py"
    path.write_text(script)
    command = [sys.executable, str(path), str(Path(__file__).parent), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def test_two_sweeps_on_one_store_make_every_run_exactly_once(tmp_path: Path, made: Path) -> None:
    both = [start(TWO_SWEEPS, str(tmp_path / "runs"), folder=tmp_path) for _ in range(2)]
    printed = [process.communicate(timeout=120) for process in both]
    first, second = (json.loads(out) for out, _ in printed)
    assert first == second
    assert [r["status"] for r in first] == ["done"] * 3
    assert made.read_text().count("made") == 3
    for run in Store(tmp_path / "runs").runs():
        assert [row["epoch"] for row in run.log()] == list(range(1, 21))


LONG = """
import sys
sys.path.insert(0, sys.argv[1])
from ratelab.runs import Circumstances, sweep
from ratelab.store import Store
from tiny_runs import tiny

if __name__ == "__main__":
    recipes = [tiny(f"seed={seed}", "training.epochs=100000") for seed in range(4)]
    sweep(recipes, Store.create(sys.argv[2]), Circumstances(checkpoint_every=1e9), workers=2, together=1)
"""


def wait_for_rows(store: Path, runs: int) -> None:
    deadline = time.monotonic() + 90
    while sum(path.stat().st_size > 0 for path in store.glob("*/log.jsonl")) < runs:
        assert time.monotonic() < deadline, "the sweep did not start"
        time.sleep(0.05)


def alive(session: int) -> list[str]:
    """The processes of a session that still run."""
    listed = subprocess.run(["ps", "-o", "pid=,stat=", "-s", str(session)], capture_output=True, text=True, check=False).stdout
    return [line for line in listed.splitlines() if line.split()[1][0] != "Z"]


@pytest.mark.parametrize(
    "to_all",
    [pytest.param(False, id="the parent alone"), pytest.param(True, id="the whole terminal", marks=pytest.mark.slow)],
)
def test_ctrl_c_saves_every_run_and_leaves_no_worker(tmp_path: Path, to_all: bool) -> None:
    process = start(LONG, str(tmp_path / "runs"), folder=tmp_path)
    wait_for_rows(tmp_path / "runs", 2)
    (os.killpg if to_all else os.kill)(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in error
    assert process.returncode != 0
    assert alive(process.pid) == []
    runs = Store(tmp_path / "runs").runs()
    assert len(runs) == 2
    for run in runs:
        header: Mapping[str, Any] = json.loads(run.checkpoint()[8 : 8 + int.from_bytes(run.checkpoint()[:8], "little")])
        assert json.loads(header["__metadata__"]["ratelab"])["epoch"] == run.log()[-1]["epoch"]


@pytest.mark.slow
def test_workers_do_not_outlive_a_killed_sweep(tmp_path: Path) -> None:
    process = start(LONG, str(tmp_path / "runs"), folder=tmp_path)
    wait_for_rows(tmp_path / "runs", 2)
    process.kill()
    process.communicate(timeout=60)
    deadline = time.monotonic() + 20
    while alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert alive(process.pid) == []
    for run in Store(tmp_path / "runs").runs():
        with run.locked():
            pass

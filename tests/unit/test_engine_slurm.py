"""Sweeps as jobs of submitit's local executor, which stands in for Slurm."""

import time
from pathlib import Path

import pytest
from tiny_runs import TINY, tiny

from ratelab.runs import Circumstances, execute, expand, from_mapping, sweep
from ratelab.runs.engines import Task, open_engine
from ratelab.runs.execute import Run
from ratelab.store import Store

pytest.importorskip("submitit")
HERE = {"cluster": "local"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "runs")


def test_jobs_make_the_runs_and_stacks_of_a_local_sweep(store: Store, tmp_path: Path) -> None:
    recipes = expand(from_mapping(TINY, "tiny"), ["objective.beta=0.5,1,2"])
    results = sweep(recipes, store, workers=2, together=2, engine="slurm", options=HERE)
    alone = Store.create(tmp_path / "alone")
    for found, recipe in zip(results, recipes, strict=True):
        lone = execute(recipe, alone)
        assert (found["run"], found["status"]) == (lone["run"], "done")
        ours, theirs = found["estimates"]["neg_elbo"], lone["estimates"]["neg_elbo"]
        assert abs(ours["value"] - theirs["value"]) < theirs["stderr"]
    stacks = [store.run(found["run"]).provenance()["stack"] for found in results]
    assert sorted(len(stack or [0]) for stack in stacks) == [1, 2, 2]
    assert not list((store.path / "slurm").glob("*.pkl"))


def test_jobs_save_and_stop_with_their_driver(store: Store) -> None:
    recipe, under = tiny("training.epochs=100000"), Circumstances(checkpoint_every=1e9)
    run = Run(recipe, store, under).folder
    engine = open_engine("slurm", HERE, store.path, under, 1, 1)
    future = engine.submit(Task({run.id: recipe}))
    deadline = time.monotonic() + 90
    while run.last_row() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert run.held()
    engine.halt()
    assert future.result() == {}
    assert run.has_checkpoint()
    assert not run.held()

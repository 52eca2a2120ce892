"""Sweeps on a Ray cluster of two nodes on this machine, one of which dies; and on a driver that dies."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import TINY, rows_without_clock

from ratelab.core.errors import UserError
from ratelab.runs import Circumstances, Recipe, execute, expand, from_mapping, sweep
from ratelab.store import Store

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
UNDER = Circumstances(checkpoint_every=0.2)
EPOCHS = 100


def grid(*assignments: str) -> list[Recipe]:
    return expand(from_mapping(TINY, "tiny"), [f"training.epochs={EPOCHS}", "data.limit=100", *assignments])


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes of one core each that listen on this machine alone."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # to be read when Ray is imported first
    import ray
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80 * 1024**2, "include_dashboard": False, "node_ip_address": "127.0.0.1"}
    started = Cluster(initialize_head=True, head_node_args=node)
    started.add_node(**node)
    yield started
    ray.shutdown()
    started.shutdown()


def rows(store: Path) -> list[int]:
    """How many epochs each run that was begun has behind it."""
    return sorted(path.read_bytes().count(b"\n") for path in store.glob("*/log.jsonl"))


def when_two_are_under_way(store: Path, act: Any) -> threading.Thread:
    """Act once two runs have trained for a while."""

    def watch() -> None:
        deadline = time.monotonic() + 120
        while (len(found := rows(store)) < 2 or found[-2] < 10) and time.monotonic() < deadline:
            time.sleep(0.02)
        act()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def test_a_cluster_that_loses_a_node_makes_every_run_once(cluster: Any, tmp_path: Path) -> None:
    store, alone = Store.create(tmp_path / "runs"), Store.create(tmp_path / "alone")
    lost = next(iter(cluster.worker_nodes))
    killer = when_two_are_under_way(store.path, lambda: cluster.remove_node(lost, allow_graceful=False))
    told: list[tuple[int, str]] = []
    said: list[str] = []
    recipes = grid("objective.beta=0.5,1", "seed=0,1")
    results = sweep(
        recipes,
        store,
        UNDER,
        together=1,
        workers=3,
        engine="ray",
        options={"address": cluster.address},
        on_result=lambda done, total, found: told.append((done, found["run"])),
        on_choice=said.append,
    )
    killer.join()
    assert "the Ray cluster has room for 2 of 3 workers; the others wait for machines to join" in said
    assert len(cluster.worker_nodes) == 0
    assert [done for done, _ in told] == [1, 2, 3, 4]
    assert len({run for _, run in told}) == 4
    for found, recipe in zip(results, recipes, strict=True):
        assert found == execute(recipe, alone)
        ours, theirs = store.run(found["run"]), alone.run(found["run"])
        assert rows_without_clock(ours.log()) == rows_without_clock(theirs.log())
        assert [row["epoch"] for row in ours.log()] == list(range(1, EPOCHS + 1))
        assert ours.weights() == theirs.weights()
    assert not list((store.path / "drivers").iterdir())

    with pytest.raises(UserError, match=r"no machine of the Ray cluster has 1 CPU\(s\) and 0.5 GPU\(s\) for a run"):
        sweep(grid("seed=5"), store, UNDER, engine="ray", options={"address": cluster.address, "gpus": 0.5})


DRIVER = """
import sys
sys.path.insert(0, sys.argv[1])
from ratelab.runs import sweep
from ratelab.store import Store
from test_engine_ray import UNDER, grid

if __name__ == "__main__":
    sweep(grid("objective.beta=0.5,1,2,4"), Store.create(sys.argv[2]), UNDER, together=2, engine="ray")
"""


@pytest.mark.slow
def test_a_driver_that_dies_is_started_again_with_any_engine(tmp_path: Path) -> None:
    store = tmp_path / "runs"
    (tmp_path / "driver.py").write_text(DRIVER)
    command = [sys.executable, str(tmp_path / "driver.py"), str(Path(__file__).parent), str(store)]
    driver = subprocess.Popen(command, start_new_session=True)
    when_two_are_under_way(store, lambda: os.kill(driver.pid, signal.SIGKILL)).join()
    driver.wait()
    assert 0 < rows(store)[-1] < EPOCHS, "the driver was killed too early or too late"
    said: list[str] = []
    results = sweep(grid("objective.beta=0.5,1,2,4"), Store(store), UNDER, together=2, on_choice=said.append)
    assert "2 run(s) go on as the stack they were" in said
    assert [found["status"] for found in results] == ["done"] * 4
    for found in results:
        assert [row["epoch"] for row in Store(store).run(found["run"]).log()] == list(range(1, EPOCHS + 1))

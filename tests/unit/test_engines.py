"""What engines share: plain data there and back, the driver's sign, and a line for everything that can be wrong with one."""

import json
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from importlib.util import find_spec
from pathlib import Path

import pytest
from tiny_runs import TINY, tiny

from ratelab.core.errors import UserError
from ratelab.runs import Circumstances, execute, expand, from_mapping, sweep
from ratelab.runs.engines import ENGINES, Engine, Lost, Made, Task, Unseen, engine_options, open_engine, remote
from ratelab.runs.engines.local import available_cores
from ratelab.runs.engines.ray import RayOptions, _fits
from ratelab.runs.engines.remote import Watch, answered, carry_out, order
from ratelab.runs.sweep import Sweep
from ratelab.store import Sign, Store

UNDER = Circumstances()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "runs")


def task(store: Store, *assignments: str) -> Task:
    recipes = expand(from_mapping(TINY, "tiny"), assignments)
    twin = Store.create(store.path.parent / "twin")
    return Task({execute(recipe, twin)["run"]: recipe for recipe in recipes})


def test_a_task_carried_out_elsewhere_makes_the_same_runs(store: Store) -> None:
    given = task(store, "objective.beta=0.5,1")
    for part in given.runs.items():
        sign = Sign.put_up(store.path)
        made = json.loads(carry_out(order(Task(dict([part])), store.path, UNDER, sign, threads=1)))["made"]
        assert made == {part[0]: Store(store.path.parent / "twin").run(part[0]).results()}


def test_a_stack_is_one_task(store: Store) -> None:
    given = task(store, "objective.beta=0.5,1,2")
    made = json.loads(carry_out(order(given, store.path, UNDER, Sign.put_up(store.path), threads=1)))["made"]
    assert set(made) == set(given.runs)
    assert store.run(next(iter(made))).provenance()["stack"] == list(given.runs)


def test_a_worker_makes_nothing_under_another_id(store: Store) -> None:
    (recipe,) = task(store, "seed=1").runs.values()
    answer = carry_out(order(Task({"0123456789ab": recipe}), store.path, UNDER, Sign.put_up(store.path), threads=1))
    future: Future[str] = Future()
    found = answered(future, store.path, lambda error: error)
    future.set_result(answer)
    with pytest.raises(
        UserError, match=r"run 0123456789ab would be .* on .*: the data, the code it names or RateLab differ there"
    ):
        found.result()
    assert store.runs() == []


class Blind(Engine):
    """Workers on a machine that does not see the store."""

    def slots(self) -> int:
        return 1

    def submit(self, task: Task) -> Future[Made]:
        inner: Future[str] = Future()
        found = answered(inner, Path("/somewhere/else"), lambda error: error)
        inner.set_result(carry_out(order(task, Path("/somewhere/else"), UNDER, Sign(Path("/somewhere/else"), "x"), threads=1)))
        return found

    def halt(self) -> None:
        self.halted = True

    def close(self) -> None:
        pass


def test_a_store_that_workers_do_not_see_stops_the_sweep(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "SIGHT", 0.1)
    blind = Blind()
    with pytest.raises(
        Unseen, match=r"the worker on .* does not see the store /somewhere/else; choose a folder that all machines"
    ):
        Sweep(task(store, "seed=1").runs, store, UNDER, blind, 1, None, None).run()
    assert blind.halted
    assert store.runs() == []


class Doomed(Engine):
    """Workers that die with every task, the first times because their whole machine goes away."""

    def __init__(self) -> None:
        self.asked = 0

    def slots(self) -> int:
        return 4

    def submit(self, task: Task) -> Future[Made]:
        self.asked += 1
        future: Future[Made] = Future()
        future.set_exception(Lost("its worker process died", innocent=self.asked <= 5))
        return future

    def halt(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_a_machine_that_goes_away_is_no_fault_of_the_run(store: Store) -> None:
    doomed = Doomed()
    (result,) = Sweep(task(store, "seed=1").runs, store, UNDER, doomed, 1, None, None).run()
    assert result["status"] == "failed"
    assert "its worker process died 3 times" in result["why"]
    assert doomed.asked == 5 + 3


def test_workers_stop_when_the_drivers_sign_is_taken_down(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "GLANCES", 0.0)
    sign = Sign.put_up(store.path)
    watch = Watch(sign)
    assert not watch()
    sign.take_down()
    assert watch()


def test_options_are_checked(store: Store) -> None:
    def opened(name: str, *options: str) -> Engine:
        return open_engine(name, engine_options(options), store.path, UNDER, 1, 1)

    for name, options, line in (
        ("rya", [], "unknown engine 'rya'; did you mean 'ray'?"),
        ("local", ["gpus=1"], "engine local: it has no option 'gpus'"),
        ("ray", ["adress=x:1"], "engine ray.adress: unknown key 'adress'; did you mean 'address'?"),
        ("ray", ["gpus=-1"], "engine ray.gpus: must be greater than or equal to 0; got -1"),
        ("ray", ["gpus"], "engine option 'gpus': expected KEY=VALUE, e.g. gpus=0.25"),
        ("slurm", ["minutes=soon"], "engine slurm.minutes: expected a whole number; got 'soon'"),
    ):
        with pytest.raises(UserError) as caught:
            opened(name, *options)
        assert str(caught.value).startswith(line)
    assert ENGINES == ("local", "ray", "slurm")


@pytest.mark.parametrize(("name", "module"), [("ray", "ray"), ("slurm", "submitit")])
def test_an_engine_that_is_not_installed(store: Store, name: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=rf"the engine {name} is not installed; type: pip install 'ratelab\[{name}\]'"):
        sweep([tiny()], store, engine=name)
    assert store.runs() == []


def test_slurm_where_there_is_none(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match=r"no Slurm here \(srun is not found\)"):
        sweep([tiny()], store, engine="slurm")


@pytest.fixture
def silent() -> Iterator[int]:
    """A port on which something listens that is no Ray head and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
@pytest.mark.parametrize("kind", ["refused", "silent", "no port"])
def test_a_ray_address_that_does_not_answer(store: Store, silent: int, kind: str) -> None:
    address = {"refused": "127.0.0.1:1", "silent": f"127.0.0.1:{silent}", "no port": "head"}[kind]
    started = time.monotonic()
    with pytest.raises(UserError) as caught:
        sweep([tiny()], store, engine="ray", options={"address": address})
    assert time.monotonic() - started < 10 + 20 * (kind == "silent")  # the first import of Ray on a busy machine aside
    assert address in str(caught.value)
    assert "\n" not in str(caught.value)
    assert store.runs() == []


def test_cuda_without_a_share_of_a_gpu(store: Store) -> None:
    with pytest.raises(UserError, match=r"device cuda: each run needs a share of a GPU; add --engine-option gpus=1"):
        remote.on_workers(Circumstances(device="cuda"), 0)
    assert remote.on_workers(Circumstances(device="auto"), 0).device == "cpu"
    assert remote.on_workers(Circumstances(device="auto"), 0.25).device == "cuda"


def test_shares_of_machines() -> None:
    assert _fits({"CPU": 8.0, "GPU": 2.0}, RayOptions(cpus=1, gpus=0.25)) == 8
    assert _fits({"CPU": 3.0, "GPU": 2.0}, RayOptions(cpus=1, gpus=0.25)) == 3
    assert _fits({"CPU": 8.0}, RayOptions(gpus=0.25)) == 0


def test_more_workers_than_cores_is_said(store: Store) -> None:
    many = available_cores() + 1
    recipe = tiny()
    engine = open_engine("local", {}, store.path, UNDER, many, many)
    assert engine.said == (f"{many} workers share {available_cores()} core(s): more than one for each core gain nothing",)
    told: list[str] = []
    Sweep({execute(recipe, store)["run"]: recipe}, store, UNDER, engine, 1, None, told.append).run()
    assert told == list(engine.said)

"""Sweeps that train many runs as one: the same ids, the same results, past kills, odd members and a full memory."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save
from tiny_runs import TINY, rows_without_clock, tiny

from ratelab.core.errors import UserError
from ratelab.runs import Circumstances, Recipe, execute, expand, from_mapping, read_recipe, sweep
from ratelab.runs.stacked import attempt_together
from ratelab.runs.together import choose
from ratelab.store import StackFolder, Store, unfinished_stacks
from ratelab.training import StackTrainer

UNDER = Circumstances()


def grid(*assignments: str, base: dict[str, Any] = TINY) -> list[Recipe]:
    return expand(from_mapping(base, "tiny"), assignments)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "runs")


@pytest.fixture
def alone(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "alone")


def assert_same_within_rounding(stacked: dict[str, Any], lone: dict[str, Any]) -> None:
    assert stacked["run"] == lone["run"]
    assert stacked["status"] == lone["status"]
    for name in ("rate", "distortion", "neg_elbo"):
        ours, theirs = stacked["estimates"][name], lone["estimates"][name]
        assert abs(ours["value"] - theirs["value"]) < theirs["stderr"], name


def test_a_stacked_sweep_makes_the_runs_of_a_plain_one(store: Store, alone: Store) -> None:
    recipes = grid("objective.beta=0.5,1,2", "seed=0,1")
    told: list[str] = []
    stacked = sweep(recipes, store, UNDER, workers=1, together=4, on_choice=told.append)
    for ours, recipe in zip(stacked, recipes, strict=True):
        lone = execute(recipe, alone)
        assert_same_within_rounding(ours, lone)
        mine, other = store.run(ours["run"]), alone.run(ours["run"])
        assert [row["epoch"] for row in mine.log()] == [1, 2, 3, 4]
        for a, b in zip(mine.log(), other.log(), strict=True):
            assert a["train/loss"] == pytest.approx(b["train/loss"], rel=1e-4)
    assert told == ["6 run(s), 2 stack(s) of up to 3: as asked for"]
    assert [len(store.run(r["run"]).provenance()["stack"]) for r in stacked] == [3] * 6
    assert unfinished_stacks(store.path) == []
    assert sweep(recipes, store, UNDER, workers=1, together=1) == stacked


def test_what_auto_picks_and_why() -> None:
    small, large = grid("seed=0,1,2,3,4"), grid("seed=0,1", "model.encoder.network.hidden=[1500,1500]")
    conv = grid("seed=0,1", "model.encoder={name: gaussian, network: {name: conv, width: 2, features: 4}}")
    own = grid("seed=0,1", "model.encoder.network={name: custom, code: 'tiny_runs:Counted'}")
    runs = {str(i): recipe for i, recipe in enumerate([*small, *large, *conv, *own])}
    chosen = choose(runs, UNDER, 2, "auto")
    assert [[len(stack) for stack in choice.stacks] for choice in chosen] == [[5], [1, 1], [1, 1], [1, 1]]
    assert "fully connected networks of" in chosen[0].why
    assert "fill a core by themselves" in chosen[1].why
    assert chosen[2].why.startswith("2 run(s) of model.encoder.network.name conv, each by itself")
    assert "each by itself, one in each of 2 processes: convolutions gain nothing from stacks" in chosen[2].why
    assert "code of your own" in chosen[3].why
    assert [len(stack) for stack in choose({str(i): r for i, r in enumerate(small)}, UNDER, 2, "auto")[0].stacks] == [3, 2]
    with pytest.raises(UserError, match="together: '0' is no size of a stack"):
        choose(runs, UNDER, 2, 0)


def test_the_demo_trains_in_stacks() -> None:
    runs = {str(i): recipe for i, recipe in enumerate(expand(read_recipe("digits/demo")))}
    chosen = choose(runs, UNDER, 2, "auto")
    assert [[len(stack) for stack in choice.stacks] for choice in chosen] == [[11], [11]]


def test_numbers_of_the_objective_share_one_stack(store: Store) -> None:
    recipes = grid("objective.beta=0.5,1", "objective.annealing=0.0,2.0")
    made = attempt_together(recipes, store, UNDER)
    stacks = {tuple(store.run(run).provenance()["stack"]) for run in made}
    assert len(made) == 4
    assert {len(stack) for stack in stacks} == {4}
    assert all(results["status"] == "done" for results in made.values())


def test_a_member_that_cannot_be_made_fails_alone(store: Store) -> None:
    recipes = [*grid("objective.beta=0.5,1"), tiny("objective.beta=[1.0, 2.0]")]
    made = list(attempt_together(recipes, store, UNDER).values())
    assert sorted(results["status"] for results in made) == ["done", "done", "failed"]


def test_memory_that_runs_out_halves_the_stack(store: Store, alone: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    train = StackTrainer.run_epoch

    def little_memory(self: StackTrainer) -> Any:
        sizes.append(len(self.members))
        if len(self.members) > 2 and next(iter(self.members.values())).epoch == 2:
            raise MemoryError
        return train(self)

    monkeypatch.setattr(StackTrainer, "run_epoch", little_memory)
    recipes = grid("objective.beta=0.25,0.5,1,2")
    made = attempt_together(recipes, store, Circumstances(checkpoint_every=0.0))
    assert sizes == [4, 4, 4, 2, 2, 2, 2]
    for recipe in recipes:
        lone = execute(recipe, alone)
        assert_same_within_rounding(made[lone["run"]], lone)
        assert [row["epoch"] for row in store.run(lone["run"]).log()] == [1, 2, 3, 4]
    assert unfinished_stacks(store.path) == []


def test_what_fails_only_as_a_stack_is_made_alone(store: Store, alone: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: StackTrainer) -> None:
        raise RuntimeError("vmap: no rule")

    monkeypatch.setattr(StackTrainer, "run_epoch", broken)
    recipes = grid("objective.beta=0.5,1")
    made = attempt_together(recipes, store, UNDER)
    assert [made[execute(recipe, alone)["run"]] for recipe in recipes] == [execute(recipe, alone) for recipe in recipes]


def test_a_run_that_another_process_is_making_is_left_to_it(store: Store) -> None:
    recipes = grid("objective.beta=0.5,1,2")
    busy = execute(recipes[0], Store.create(store.path.parent / "twin"))["run"]
    with store.run(busy).locked():
        made = attempt_together(recipes, store, UNDER)
    assert busy not in made
    assert len(made) == 2


def test_a_stack_that_another_process_is_making_is_left_to_it_whole(store: Store) -> None:
    recipes = grid("objective.beta=0.5,1")
    ids = [execute(recipe, Store.create(store.path.parent / "twin"))["run"] for recipe in recipes]
    with StackFolder(store.path, ids).locked():
        assert attempt_together(recipes, store, UNDER) == {}


def test_a_damaged_state_of_a_stack_is_named(store: Store) -> None:
    recipes = grid("objective.beta=0.5,1")
    ids = [execute(recipe, Store.create(store.path.parent / "twin"))["run"] for recipe in recipes]
    stack = StackFolder(store.path, ids)
    stack.write_checkpoint(save({"a": np.zeros(1)}))
    (stack.path / "checkpoint.safetensors").write_bytes(b"no state")
    results = sweep(recipes, store, UNDER, workers=1)
    assert [r["status"] for r in results] == ["failed", "failed"]
    assert "checkpoint.safetensors is corrupt (cut short); delete the folder" in results[0]["why"]


KILLED = """
import os, random, signal, sys, time
sys.path.insert(0, sys.argv[1])
import torch
from ratelab.runs import Circumstances
from ratelab.runs.stacked import attempt_together
from ratelab.store import Store, unfinished_stacks
from test_runs_stack import RECIPE, grid

store, kills = Store.create(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(1)
torch.optim.Adam([torch.zeros(1, requires_grad=True)])
moments, alone = random.Random(3), None
import torch.fx.experimental.proxy_tensor


def child():
    pid = os.fork()
    if pid == 0:
        try:
            found = unfinished_stacks(store.path)
            attempt_together(grid(*RECIPE), store, Circumstances(checkpoint_every=0.0), found[0].members if found else ())
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    return pid


def rows():
    return sum(path.read_bytes().count(b"\\n") for path in store.path.glob("*/log.jsonl"))


for _ in range(kills):
    pid, target, deadline = child(), rows() + moments.randint(1, 30), time.monotonic() + 60
    while rows() < target and time.monotonic() < deadline and os.waitpid(pid, os.WNOHANG) == (0, 0):
        time.sleep(0.001)
    time.sleep(moments.choice([0, 0.005, 0.03]))
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass
_, status = os.waitpid(child(), 0)
assert status == 0, status
"""
RECIPE = (
    "objective.beta=0.25,1,8",
    "training.epochs=20",
    "training.early_stopping.patience=3",
    "optimiser={name: adam, lr: 0.02}",
)


def test_a_killed_stack_goes_on_as_the_same_stack_bit_for_bit(tmp_path: Path) -> None:
    kills = 4
    for name, count in (("disturbed", kills), ("undisturbed", 0)):
        command = [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(tmp_path / name), str(count)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
    disturbed, undisturbed = (Store(tmp_path / name).runs() for name in ("disturbed", "undisturbed"))
    assert len({len(run.log()) for run in undisturbed}) > 1, "no member stopped early; choose other betas"
    for ours, theirs in zip(disturbed, undisturbed, strict=True):
        assert ours.weights() == theirs.weights()
        assert rows_without_clock(ours.log()) == rows_without_clock(theirs.log())
        assert ours.results() == theirs.results()
        assert ours.provenance()["stack"] == theirs.provenance()["stack"]


def test_a_sweep_goes_on_with_the_stacks_it_left(store: Store) -> None:
    recipes = grid("objective.beta=0.5,1,2", "training.epochs=6")
    calls = iter(range(100))
    under = Circumstances(checkpoint_every=0.0)
    assert attempt_together(recipes, store, under, stop=lambda: next(calls) == 2) == {}
    (left,) = unfinished_stacks(store.path)
    assert json.loads((left.path / "members.json").read_text())["members"] == list(left.members)
    told: list[str] = []
    results = sweep([recipes[2], recipes[0], recipes[1]], store, under, workers=1, together=1, on_choice=told.append)
    assert told == ["3 run(s) go on as the stack they were"]
    assert [r["status"] for r in results] == ["done"] * 3
    assert [len(store.run(r["run"]).log()) for r in results] == [6] * 3


def test_learning_rates_share_a_stack_equal_ones_side_by_side(store: Store, alone: Store) -> None:
    recipes = grid("objective.beta=0.5,1", "optimiser.lr=0.001,0.002")
    (choice,) = choose({str(i): recipe for i, recipe in enumerate(recipes)}, UNDER, 1, 4)
    assert choice.stacks == (("0", "2", "1", "3"),)
    ours, theirs = (sweep(recipes, where, UNDER, workers=1, together=size) for where, size in ((store, 4), (alone, 1)))
    for mine, other in zip(ours, theirs, strict=True):
        assert mine["run"] == other["run"]
        for key in ("rate", "distortion"):
            assert mine["estimates"][key]["value"] == pytest.approx(other["estimates"][key]["value"], rel=1e-4, abs=1e-3)


def test_runs_that_cannot_share_a_stack_are_told_apart_by_what_keeps_them_so() -> None:
    runs = {str(i): recipe for i, recipe in enumerate(grid("optimiser.normalise=false,true", "objective.beta=0.5,1"))}
    said = [choice.why for choice in choose(runs, UNDER, 1, 2)]
    assert said == [f"2 run(s) of optimiser.normalise {own}, 1 stack(s) of up to 2: as asked for" for own in (False, True)]
    wrong = {str(i): recipe for i, recipe in enumerate(grid("seed=0,1", "model.decoder.name=categorical"))}
    assert "their model cannot be made (model.decoder: 'categorical' scores" in choose(wrong, UNDER, 1, 2)[0].why

"""A run killed at any moment and started again ends as if nothing had happened, bit for bit."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import rows_without_clock, tiny

from ratelab.runs import execute
from ratelab.store import Store

RECIPE = ("training.epochs=25", "training.early_stopping.patience=20", "data.limit=400", "training.batch_size=20")

# Children are forked from a process that has loaded everything and trained nothing, so that many kills cost little time.
NURSERY = """
import json, os, random, signal, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import sklearn.datasets
import torch
from PIL import Image
from ratelab.runs import Circumstances, execute
from ratelab.store import Store
from tiny_runs import tiny

store, kills, recipe = Store.create(sys.argv[2]), int(sys.argv[3]), tiny(*sys.argv[4:])
moments = random.Random(kills)
torch.set_num_threads(1)
states = []
torch.optim.Adam([torch.zeros(1, requires_grad=True)])  # the first optimiser of a process loads much of torch

def child():
    pid = os.fork()
    if pid == 0:
        try:
            execute(recipe, store, Circumstances(checkpoint_every=0.02))
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    return pid


def rows():
    logs = list(store.path.glob("*/log.jsonl"))
    return logs[0].read_bytes().count(b"\\n") if logs else 0


for _ in range(kills):
    # A random moment of the whole run: some rows on (none: while setting up; beyond the last: while measuring), and a bit.
    pid, target, deadline = child(), rows() + moments.randint(0, 8), time.monotonic() + 20
    while rows() < min(target, 25) and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(moments.choice([0, 0.005, 0.03, 0.2]))
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    for run in store.runs():
        states.append((len(run.log()), run.has_checkpoint(), run.results() is not None))
_, status = os.waitpid(child(), 0)
assert status == 0, status
print(json.dumps(states))
"""


def through_kills(store: Path, kills: int) -> list[tuple[int, bool, bool]]:
    """Make the run past so many kills at random moments; what lay in its folder after each: rows, checkpoint, results."""
    command = [sys.executable, "-c", NURSERY, str(Path(__file__).parent), str(store), str(kills), *RECIPE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    states: list[tuple[int, bool, bool]] = json.loads(done.stdout)
    return states


@pytest.mark.parametrize("kills", [4, pytest.param(40, marks=pytest.mark.slow)])
def test_a_killed_run_ends_as_an_undisturbed_one(tmp_path: Path, kills: int) -> None:
    states = through_kills(tmp_path / "disturbed", kills)
    assert any(0 < rows < 25 for rows, _, _ in states), "no kill hit the training; choose other moments"
    execute(tiny(*RECIPE), Store.create(tmp_path / "undisturbed"))
    disturbed, undisturbed = (Store(tmp_path / name).runs()[0] for name in ("disturbed", "undisturbed"))
    assert disturbed.weights() == undisturbed.weights()
    assert rows_without_clock(disturbed.log()) == rows_without_clock(undisturbed.log())
    assert disturbed.results() == undisturbed.results()
    for name, values in undisturbed.per_example().items():
        np.testing.assert_array_equal(disturbed.per_example()[name], values)
    assert [path.name for path in disturbed.path.rglob(".*")] == []

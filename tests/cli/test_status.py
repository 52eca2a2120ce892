"""``ratelab sweep --status``: how far a store is, while runs are being made and after."""

from pathlib import Path

from command_lines import Cli

from ratelab.runs import Circumstances, read_recipe, single
from ratelab.runs.execute import Run
from ratelab.store import Store


def test_the_status_of_a_store_with_runs_in_every_state(cli: Cli, store: Path, place: Path) -> None:
    recipes = {beta: single(read_recipe(place / "tiny.yaml"), [f"objective.beta={beta}"]) for beta in (1, 2, 3, 8)}
    folders = {beta: Run(recipe, Store(store), Circumstances()).folder for beta, recipe in recipes.items()}
    for beta in (1, 2, 3):
        folders[beta].path.mkdir()
        folders[beta].write_recipe({"schema": 1, **recipes[beta].document()})
        folders[beta].append_log({"epoch": 2, "seconds": 1.5, "train/rate": 1.0})
    results = {"schema": 1, "run": folders[3].id, "recipe": recipes[3].document(), "status": "failed", "why": "bad luck"}
    folders[3].write_results({**results, "estimates": {}, "validation": {}})
    grid = ["tiny.yaml", "objective.beta=0.5,1,2,3,8"]
    with folders[1].locked():
        found = cli("sweep", *grid, "--status", "--json").json()
        text = cli("sweep", "--status").out
    assert found["counts"] == {"done": 1, "diverged": 0, "running": 1, "stopped": 1, "failed": 1, "waiting": 1, "damaged": 0}
    states = {entry["run"]: entry for entry in found["runs"]}
    running, failed, waiting = (states[folders[beta].id] for beta in (1, 3, 8))
    assert (running["state"], running["epoch"], running["epochs"], running["seconds_left"]) == ("running", 2, 3, 1.5)
    assert (failed["state"], failed["why"]) == ("failed", "bad luck")
    assert (waiting["state"], waiting["epoch"]) == ("waiting", 0)
    assert states[folders[2].id]["state"] == "stopped"
    assert "runs: 5 run(s): 2 done, 1 running, 1 stopped, 1 failed" in text
    assert not folders[1].held()


def test_a_long_reason_does_not_break_the_table(cli: Cli, store: Path, run_id: str) -> None:
    folder = Store(store).run(run_id)
    why = "the training stopped being finite in epoch 31; estimates are of the last good state"
    folder.write_results({**(folder.results() or {}), "status": "diverged", "why": why})
    said = cli("sweep", "--status").out
    (row,) = [line for line in said.splitlines() if line.startswith(run_id)]
    assert "diverged: the training stopped being…" in row
    assert "3/3" in row
    assert said.rstrip().endswith("--json has the reasons in full")
    assert why in {run.get("why") for run in cli("sweep", "--status", "--json").json()["runs"]}

"""Commands that make and measure runs: train, sweep, evaluate, demo, frontier, report."""

import json
import re
import shutil
from pathlib import Path

import pytest
from command_lines import TINY, Cli, finish, spawn

from ratelab.cli import demo
from ratelab.estimators import ESTIMATORS

RECORD = {"value", "stderr", "n", "unit", "bound", "of"}
FRONTIER = {"schema", "store", "data", "runs", "frontier", "hull", "h_hat", "best", "apart", "gaps"}


@pytest.mark.spec("GE03", "GE01")
def test_train_prints_the_results_and_the_same_recipe_gives_the_same_metrics(cli: Cli, place: Path) -> None:
    first = cli("train", "tiny.yaml", "--json").json()
    assert (first["schema"], first["status"]) == (1, "done")
    assert {"rate", "rates", "distortion", "neg_elbo"} <= set(first["estimates"]) == set(first["validation"])
    assert len(first["estimates"]["rates"]) == 2
    assert set(first["estimates"]["rate"]) == RECORD
    assert first == json.loads((place / "runs" / first["run"] / "results.json").read_text())
    assert cli("train", "tiny.yaml", "--json", "--store", "elsewhere").json() == first
    assert cli("train", "tiny.yaml", "seed=1", "--json").json()["estimates"] != first["estimates"]


def test_a_finished_run_is_not_trained_again(cli: Cli, trained: Path) -> None:
    again = cli("train", "tiny.yaml", "--store", trained)
    assert again.code == 0
    assert "was finished already" in again.err
    assert "neg_elbo" in again.out


def test_training_tells_how_far_it_is_and_what_it_measured(cli: Cli) -> None:
    outcome = cli("train", "tiny.yaml")
    assert "tiny: 3/3 epochs  R " in outcome.err
    assert "trained and measured in" in outcome.err
    assert " ± " in outcome.out
    assert "\x1b" not in outcome.out + outcome.err


@pytest.mark.spec("GE03")
def test_a_target_asked_for_on_the_command_line_is_followed_while_training_and_missed_out_loud(cli: Cli, place: Path) -> None:
    """The recipe has a price; a rate takes its place. What cannot be reached is said in every line and at the end."""
    outcome = cli("train", "tiny.yaml", "objective.rate=40", "training.epochs=2", "--json")
    assert outcome.code == 0
    assert re.search(r"epochs +R [\d.]+ D [\d.]+ nats \(training\), off target by -[\d.]+", outcome.err)
    document = json.loads(outcome.out)
    assert document["recipe"]["objective"]["name"] == "controlled-rate"
    assert re.fullmatch(r"target 40 nats not reached: -?[\d.]+ \+- [\d.]+", document["why"])


def test_sweep_makes_the_grid_once_and_prints_the_frontier(cli: Cli, place: Path) -> None:
    words = ["sweep", "tiny.yaml", "objective.beta=log:0.1:10:3", "training.epochs=1", "--workers", "1"]
    first = cli(*words, "--json")
    document = first.json()
    assert set(document) == FRONTIER
    assert len(document["runs"]) == 3 == len(list((place / "runs").glob("*/results.json")))
    assert set(document["hull"]) <= set(document["frontier"]) <= {run["run"] for run in document["runs"]}
    assert set(document["best"]) == {"reconstruct", "represent", "generate"}
    assert "[1/3] hierarchy beta " in first.err
    assert " nats (" in first.err
    again = cli(*words)
    assert again.err.count("finished already") == 3
    assert "H-hat = " in again.out
    assert cli("frontier", "runs", "--json").json() == document


def test_a_sweep_goes_on_when_a_run_fails_and_says_so(cli: Cli, place: Path) -> None:
    (place / "wrong_net.py").write_text(
        "import torch\nclass Net(torch.nn.Module):\n  def forward(self, x): raise ValueError('no')\n"
    )
    custom = "model.encoder.network={name: custom, code: 'wrong_net:Net'},{name: mlp, hidden: [16]}"
    outcome = cli("sweep", "tiny.yaml", custom, "training.epochs=1", "--workers", "1", "--allow-code", "--json")
    assert outcome.code == 1
    document = json.loads(outcome.out)
    assert sorted(run["status"] for run in document["runs"]) == ["done", "failed"]
    assert [apart["why"].partition(":")[0] for apart in document["apart"]] == ["failed"]
    failed = next(run for run in document["runs"] if run["status"] == "failed")
    assert "1 of 2 runs failed" in outcome.err
    assert f"\n  {failed['run']}: custom encoder cannot take input" in outcome.err


FAILS_LATER = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(64, 4)

    def forward(self, x):
        if len(x) != 2:
            raise OverflowError("too much")
        return self.layer(x.flatten(1))
"""


def test_a_run_that_fails_in_training_is_recorded_and_exits_with_1(cli: Cli, place: Path) -> None:
    (place / "fails_later.py").write_text(FAILS_LATER)
    words = ["train", "tiny.yaml", "model.encoder.network={name: custom, code: 'fails_later:Net'}", "--allow-code"]
    outcome = cli(*words, "--json")
    assert outcome.code == 1
    document = json.loads(outcome.out)
    assert (document["status"], document["why"]) == ("failed", "OverflowError: too much (fails_later.py, line 11)")
    assert outcome.err == f"run {document['run']} failed: {document['why']}\n"
    assert json.loads((place / "runs" / document["run"] / "results.json").read_text()) == document
    again = cli(*words)
    assert (again.code, again.out) == (1, "")


@pytest.mark.parametrize("command", ["train", "sweep"])
def test_a_run_that_diverges_is_a_result(cli: Cli, command: str) -> None:
    outcome = cli(command, "tiny.yaml", "optimiser.lr=1e30", "--json")
    document = outcome.json()
    run = document if command == "train" else document["runs"][0]
    assert run["status"] == "diverged"


def test_a_recipe_and_its_data_move_together_and_its_runs_are_used_from_anywhere(
    cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    for name in ("project", "elsewhere"):
        (place / name).mkdir()
    np.save(place / "project" / "own.npy", (np.random.RandomState(0).rand(60, 4, 4) > 0.5).astype(np.uint8))
    (place / "project" / "own.yaml").write_text(TINY.replace("{name: digits, limit: 200}", "{name: array, path: own.npy}"))
    run = cli("train", "project/own.yaml", "training.epochs=1", "--json").json()["run"]
    monkeypatch.chdir(place / "elsewhere")
    assert cli("sample", f"../runs/{run}", "-n", "2").code == 0
    monkeypatch.chdir(place)
    (place / "project").rename(place / "renamed")
    again = cli("sweep", "renamed/own.yaml", "training.epochs=1", "title=new", "--workers", "1", "--json")
    assert [result["run"] for result in again.json()["runs"]] == [run]
    assert len(list((place / "runs").glob("*/results.json"))) == 1
    assert cli("sample", run, "-n", "2").code == 0


def test_runs_on_several_data_sets_have_no_frontier_together(cli: Cli) -> None:
    words = ["sweep", "tiny.yaml", "data.limit=100,200", "training.epochs=1", "--workers", "1"]
    document = cli(*words, "--json").json()
    assert len(document["runs"]) == 2
    assert (document["frontier"], document["h_hat"], document["data"]) == ([], None, None)
    assert "several data sets" in document["why"]
    assert cli(*words).out.count("H-hat") == 2
    assert "holds several data sets" in cli("frontier", "--json").line()
    assert cli("frontier").out.count("H-hat") == 2


def test_frontier_tells_apart_runs_that_differ_in_their_optimiser_alone(cli: Cli) -> None:
    words = ["sweep", "tiny.yaml", "optimiser.lr=0.001,0.002", "training.epochs=1", "--workers", "1"]
    swept = cli(*words)
    for learning_rate in ("0.001", "0.002"):
        assert f"optimiser lr {learning_rate}: R" in swept.err
        assert f"optimiser lr {learning_rate}" in " ".join(cli("frontier").out.split())


def test_frontier_compares_two_runs_on_the_same_examples(cli: Cli, store: Path, place: Path) -> None:
    first, second = sorted(folder.name for folder in store.iterdir() if folder.is_dir())
    document = cli("frontier", "runs", "--compare", first[:5], second, "--json").json()
    assert document["compare"] == [first, second]
    a, b = (json.loads((store / run / "results.json").read_text())["estimates"] for run in (first, second))
    for name, found in document["differences"].items():
        assert found["mean"] == pytest.approx(a[name]["value"] - b[name]["value"], abs=1e-4)
        assert 0 < found["stderr"] < a[name]["stderr"] + b[name]["stderr"]
    assert f"{first} minus {second}" in cli("frontier", "--compare", first, second).out
    other = cli("train", "tiny.yaml", "data.limit=100", "training.epochs=1", "--json").json()["run"]
    assert "different test sets" in cli("frontier", "--compare", first, other).line()


@pytest.mark.spec("GE03")
def test_evaluate_adds_estimates_and_measures_nothing_twice(cli: Cli, store: Path, run_id: str) -> None:
    before = json.loads((store / run_id / "results.json").read_text())
    words = ["evaluate", run_id[:5], "--estimators", "psnr,{name: iwae, samples: 8}"]
    first = cli(*words, "--json")
    (results,) = first.json()["runs"]
    assert results["estimates"].keys() - before["estimates"].keys() == {"psnr", "iwae", "iwae_gain"}
    assert results["estimates"].items() >= before["estimates"].items()
    assert "iwae" in results["validation"]
    assert results == json.loads((store / run_id / "results.json").read_text())
    again = cli(*words, "--json")
    assert again.json() == first.json()
    assert "nothing new to measure" in again.err
    assert "batches" not in again.err
    other = cli("evaluate", run_id, "--estimators", '[{"name": "iwae", "samples": 64}]', "--json").json()["runs"][0]
    assert other["estimates"]["iwae"]["value"] < results["estimates"]["iwae"]["value"]
    assert [node["name"] for node in other["measured"]] == ["psnr", "iwae"]
    assert cli("train", "tiny.yaml", f"objective.beta={other['recipe']['objective']['beta']}", "--json").json() == other


def test_evaluate_all_measures_what_the_model_allows_once(
    cli: Cli, store: Path, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ratelab.cli import evaluate

    few = [
        {"name": "psnr"},
        {"name": "iwae", "samples": 3},
        {"name": "annealed-curve", "temperatures": 2},
        {"name": "marginal-kl"},
    ]
    monkeypatch.setattr(evaluate, "every_estimator", lambda: [ESTIMATORS.resolve(node, "e") for node in few])
    assert cli("evaluate", run_id, "--estimators", "{name: iwae, samples: 2}").code == 0
    first = cli("evaluate", run_id, "--estimators", "all", "--json")
    (results,) = first.json()["runs"]
    assert {"psnr", "marginal_kl", "information", "iwae"} <= set(results["estimates"])
    assert "annealed_rates" not in results["estimates"]
    assert "left out: estimator 'annealed-curve'" in first.err
    assert "psnr, test" in first.err
    assert [node["name"] for node in results["measured"]] == ["iwae", "psnr", "marginal-kl"]
    assert results["measured"][0]["samples"] == 2, "what was asked for before is kept"
    assert "ask for these by name: " in first.err
    assert "marginal-kl-ratio" in first.err
    again = cli("evaluate", run_id, "--estimators", "all", "--json")
    assert again.json() == first.json()
    assert "batches" not in again.err
    assert "annealed-curve" in cli("evaluate", run_id, "--estimators", "annealed-curve").line()


def test_all_does_not_repeat_for_one_layer_what_is_of_several(cli: Cli, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ratelab.cli import evaluate

    names = ["joint-marginal-kl", "marginal-kl"]
    monkeypatch.setattr(evaluate, "every_estimator", lambda: [ESTIMATORS.resolve(name, "e") for name in names])
    one = cli("train", "digits/vae", "training.epochs=1", "--json").json()["run"]
    found = cli("evaluate", one, "--estimators", "all", "--json")
    assert "left out: estimator 'joint-marginal-kl' of one layer is 'marginal-kl'" in found.err
    assert [node["name"] for node in found.json()["runs"][0]["measured"]] == ["marginal-kl"]
    assert cli("evaluate", one, "--estimators", "joint-marginal-kl").code == 0, "it is there for who asks"


def test_all_is_every_estimator_of_the_table_but_those_that_train_a_helper() -> None:
    from ratelab.cli.evaluate import every_estimator

    helped = {"inception-score", "fid", "reconstruction-accuracy"}
    helped |= {f"marginal-kl-{how}" for how in ("ratio", "gmm", "maf", "lstm")} | {"wasserstein", "generative-bounds"}
    assert helped <= set(ESTIMATORS)
    assert [node["name"] for node in every_estimator()] == [name for name in ESTIMATORS if name not in helped]


def test_evaluate_trains_a_helper_once_and_says_so(cli: Cli, store: Path, run_id: str) -> None:
    asked = ("evaluate", run_id, "--estimators", "{name: marginal-kl-gmm, steps: 8, components: 2}", "--json")
    first = cli(*asked)
    (results,) = first.json()["runs"]
    helper = results["helpers"]["marginal-kl-gmm"]
    assert results["estimates"]["marginal_kl_gmm"]["bound"] == "lower"
    assert helper["seed"] == 0
    assert helper["seconds"] >= 0
    assert (store / helper["run"] / "results.json").is_file()
    assert "helper of marginal-kl-gmm: epoch 1 of " in first.err
    again = cli(*asked)
    assert "nothing new to measure" in again.err
    assert "epoch" not in again.err
    assert f"marginal-kl-gmm: helped by run {helper['run']} (seed 0, trained in " in cli("evaluate", run_id).out
    wrong = cli("evaluate", run_id, "--estimators", "{name: marginal-kl-gmm, component: 2}")
    assert "unknown key 'component'; did you mean 'components'" in wrong.line()


def test_evaluate_keeps_the_per_example_values_of_before(cli: Cli, store: Path, run_id: str) -> None:
    import numpy as np

    assert cli("evaluate", run_id, "--estimators", "psnr").code == 0
    with np.load(store / run_id / "per_example.npz") as arrays:
        assert {"rate", "distortion", "squared_error"} <= set(arrays.files)


def test_an_unfinished_run_is_not_evaluated(cli: Cli, store: Path, run_id: str) -> None:
    (store / run_id / "results.json").unlink()
    assert "is not finished (stopped); give its train command again" in cli("evaluate", run_id, "--estimators", "psnr").line()


def test_a_run_that_another_process_holds(cli: Cli, store: Path, run_id: str) -> None:
    from ratelab.store import Store

    with Store(store).run(run_id).locked():
        assert "another process" in cli("evaluate", run_id, "--estimators", "psnr").line()
    found = cli("train", "tiny.yaml", "--json", "--store", "elsewhere").json()["run"]
    (Path("elsewhere") / found / "results.json").unlink()
    with Store(Path("elsewhere")).run(found).locked():
        held = f"run {found} is being made by another process; wait until it is done, or stop that one"
        assert cli("train", "tiny.yaml", "--store", "elsewhere").line() == held


@pytest.mark.spec("GE03")
def test_report_writes_the_page_and_its_figures(cli: Cli, store: Path, place: Path) -> None:
    document = cli("report", "runs", "-o", "page.html", "--json").json()
    assert document["report"] == "page.html"
    assert {"page.html"} < {str(path) for path in document["files"]}
    assert all((place / path).stat().st_size for path in document["files"])
    assert any(path.endswith(".png") for path in document["files"])


@pytest.mark.spec("GE03")
def test_demo_sweeps_draws_and_the_second_time_only_draws(cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "demo.yaml").write_text(TINY + "sweep: {objective.beta: [0.2, 5]}\n")
    monkeypatch.setattr(demo, "RECIPE", "demo.yaml")
    first = cli("demo", "--workers", "1", "--json")
    document = first.json()
    assert set(document) == FRONTIER | {"report", "files"}
    assert document["report"] == "ratelab-demo/report.html"
    assert len(document["runs"]) == 2
    page = place / "ratelab-demo" / "report.html"
    page.unlink()
    again = cli("demo")
    assert again.err.count("finished already") == 2
    assert "report: ratelab-demo/report.html" in again.out
    assert page.is_file()


def test_the_shipped_demo_covers_the_plane_with_two_families() -> None:
    from ratelab.runs import expand, read_recipe

    recipes = expand(read_recipe(demo.RECIPE))
    betas = {recipe.objective["beta"] for recipe in recipes}
    assert len({recipe.model["name"] for recipe in recipes}) == 2
    assert len(betas) >= 10
    assert len(recipes) == 2 * len(betas)
    assert {recipe.data["name"] for recipe in recipes} == {"digits"}


@pytest.mark.slow
def test_the_demo_itself(tmp_path: Path) -> None:
    outcome = finish(spawn("demo", "--json", cwd=tmp_path), timeout=1800)
    document = outcome.json()
    assert len(document["runs"]) == 22
    assert {run["status"] for run in document["runs"]} == {"done"}
    rates = [run["estimates"]["rate"]["value"] for run in document["runs"]]
    assert min(rates) < 0.5
    assert max(rates) > 20
    shutil.rmtree(tmp_path / "ratelab-demo")

"""``ratelab figure`` of grids: Xiao and Bamler 2023, Fig. 1 to 7 and Table 1, from stored runs; and measuring a whole store."""

import shlex
from pathlib import Path

import pytest
from command_lines import Cli

from ratelab.core.estimate import Estimate
from ratelab.store import Store
from synthetic_grid import all_scores, few_scores, write_grid
from synthetic_store import write_run

OF_GRIDS = ("grid", "rates", "marked", "hull", "generation", "labels")


@pytest.fixture
def grid(place: Path) -> Path:
    return write_grid(place / "runs", scores=all_scores)


@pytest.mark.spec("HV49", "HV51", "HV52", "HV53", "HV54", "HV55")
def test_every_figure_is_drawn_from_a_store(cli: Cli, grid: Path, place: Path) -> None:
    for name in OF_GRIDS:
        document = cli("figure", name, "--json").json()
        assert (place / document["figure"]).read_text().startswith("<svg")
        assert len(document["runs"]) == (3 if name == "marked" else 9)
        for run in document["runs"]:
            assert run["rates"][0] == pytest.approx(6 / (1 + run["betas"][0]))
    assert document["runs"][0]["label_information"]["unit"] == "nat"


@pytest.mark.spec("HV50")
def test_the_diagram_of_models_needs_no_run(cli: Cli, place: Path) -> None:
    assert cli("figure", "inference", "-o", "two.png").code == 0
    assert (place / "two.png").read_bytes().startswith(b"\x89PNG")
    assert cli("figure", "inference", "abc").line() == "figure 'inference' takes no RUNS; leave them out"


@pytest.mark.spec("HV57")
def test_the_table_has_the_best_accuracy_of_each_layer_and_classifier(cli: Cli, place: Path) -> None:
    for data in ("svhn", "cifar-10"):
        write_grid(place / "runs", scores=all_scores, data=data)
    document = cli("figure", "accuracies", "--json").json()
    head, _rule, *rows = (place / "accuracies.md").read_text().splitlines()
    assert head == "| data (latent) | logistic | linear SVM | RBF SVM | kNN |"
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [row[0] for row in cells] == ["cifar-10 (z_2)", "cifar-10 (z_1)", "svhn (z_2)", "svhn (z_1)"]
    assert all(len(row) == 5 for row in cells)
    for row in cells:
        layer = 0 if "z_2" in row[0] else 1
        for cell, kind in zip(row[1:], ("logistic", "linear_svm", "rbf_svm", "knn"), strict=True):
            runs = [folder.results() or {} for folder in Store(place / "runs").runs()]
            best = max(run["estimates"][f"accuracy_{kind}"][layer]["value"] for run in runs)
            assert cell.startswith(f"{100 * best:.2f} ± 1.00 % (")
    assert len(document["runs"]) == 16
    assert "chosen on the validation split" in cli("figure", "accuracies").out
    assert cli("figure", "accuracies", "-o", "a.svg").line() == "cannot write 'a.svg': its ending must be .md"


def test_another_score_and_one_data_set_can_be_asked_for(cli: Cli, place: Path) -> None:
    for data in ("svhn", "cifar-10"):
        write_grid(place / "runs", scores=all_scores, data=data)
    runs = cli("figure", "rates", "--data", "svhn", "--score", "accuracy_knn, layer 1", "--json").json()["runs"]
    assert {run["data"] for run in runs} == {"svhn"}
    assert all(run["accuracy_knn, layer 1"]["unit"] == "1" for run in runs)
    one = runs[0]["run"]
    assert [run["run"] for run in cli("figure", "marked", one, "--json").json()["runs"]] == [one]
    assert "unknown score 'psnrr'; did you mean 'psnr'?" in cli("figure", "hull", "--score", "psnrr").line()
    assert "; known: " in (said := cli("figure", "rates", "--score", "nonsense").line())
    assert "inception_score" in said
    assert cli("figure", "grid", "--score", "psnr").line() == "figure 'grid' takes no --score; leave it out"
    assert cli("figure", "grid", one).line() == "figure 'grid' takes no RUNS; leave them out"


def test_a_store_without_a_grid_says_how_to_make_one(cli: Cli, place: Path) -> None:
    write_run(place / "runs", "a", [1.0, 2.0], 3.0)
    line = cli("figure", "rates").line()
    assert line.startswith(
        "the store runs has no grid of two-layer models with a price for each layer; make one with 'ratelab sweep"
    )
    assert not list(place.glob("*.svg"))
    assert "no store at nowhere" in cli("figure", "rates", "--store", "nowhere").line()


def test_missing_scores_name_the_command_that_adds_them(cli: Cli, place: Path) -> None:
    write_grid(place / "runs", scores=few_scores)
    line = cli("figure", "labels").line()
    assert (
        "have 'label_information'; \"ratelab evaluate runs --estimators label-information\" adds it (it needs data with labels)"
        in line
    )
    assert "\"ratelab evaluate runs --estimators '{name: inception-score, classifier: " in cli("figure", "generation").line()
    assert '"ratelab evaluate runs --estimators downstream" adds it' in cli("figure", "accuracies").line()
    assert not list(place.glob("*.svg"))


def test_the_classifier_that_is_recommended_fits_the_data(cli: Cli, place: Path) -> None:
    for data in ("svhn", "digits"):
        write_grid(place / "runs", data=data)

    def line(data: str) -> str:
        return cli("figure", "generation", "--data", data).line()

    assert "classifier: xiao2023/small-svhn-classifier}'\" adds it; xiao2023/svhn-classifier would do too" in line("svhn")
    assert "classifier: RECIPE}'\" adds it, with the recipe of a classifier of this data" in line("digits")


def test_who_judged_and_how_accurately_stands_beside_the_scores(cli: Cli, place: Path) -> None:
    store = write_grid(place / "runs", scores=all_scores)
    accuracy = Estimate(0.986, 0.0012, 10_000, of="accuracy", unit="1").to_json()
    for folder in Store(store).runs():
        results = folder.results() or {}
        helper = {"run": "3f2a8c90bb11", "seed": 0, "seconds": 62.4, "accuracy": accuracy}
        folder.write_results({**results, "helpers": {"inception-score": helper}})
    told = "judged by run 3f2a8c90bb11, test accuracy 98.6 ± 0.1 %"
    assert cli("frontier", "--per-task").out.count(told) == 3, "inception score, diversity, sharpness"
    assert cli("figure", "generation").out.count(told) == 1
    assert told in (place / "generation.svg").read_text()
    assert told not in cli("figure", "labels").out
    cli("report", "runs")
    page = (place / "report.html").read_text()
    assert page.count(f"Draws and reconstructions: {told}.") == 1
    assert page.count(f"inception-score: {told} (seed 0, trained in 62 s)") == 9


def test_a_grid_with_holes_is_drawn_and_its_holes_are_named(cli: Cli, place: Path) -> None:
    store = write_grid(place / "runs", holes=((1.0, 10.0),))
    folder = Store(store).runs()[0]
    with folder.locked():
        results = folder.results() or {}
        del results["estimates"]["psnr"]
        folder.write_results(results)
    outcome = cli("figure", "rates")
    assert outcome.code == 0
    assert "no finished run for 1 pairs of prices (beta_2, beta_1): (1, 10); start the sweep again" in outcome.err
    assert '1 of 8 runs lack psnr; "ratelab evaluate runs --estimators psnr" adds it' in outcome.err
    assert (place / "rates.svg").is_file()


def test_a_run_without_pictures_is_named(cli: Cli, place: Path) -> None:
    write_grid(place / "runs", scores=all_scores, pictures=False)
    assert "has no pictures: its data are no images" in cli("figure", "marked").line()


def test_a_whole_store_is_measured_and_what_does_not_fit_is_named(cli: Cli, store: Path) -> None:
    found = cli("evaluate", "runs", "--estimators", "psnr", "--json").json()
    assert len(found["runs"]) == 2
    assert all("psnr" in run["estimates"] for run in found["runs"])
    outcome = cli("evaluate", "runs", "--estimators", "accuracy")
    assert outcome.code == 2
    assert outcome.err.count("left out: estimator 'accuracy' is of models that predict labels") == 2
    assert "no run of the store runs could be measured" in outcome.err


def test_the_figures_of_small_models_that_were_trained(cli: Cli, place: Path) -> None:
    prices = ("objective.beta.0=0.5,4", "objective.beta.1=0.5,4", "objective.beta=[1,1]")
    swept = cli("sweep", "tiny.yaml", prices[2], *prices[:2], "training.epochs=1", "--workers", "1", "--together", "1")
    assert swept.code == 0, swept.err
    assert cli("evaluate", "runs", "--estimators", "psnr,label-information,{name: downstream, limit: 40}").code == 0
    for name in ("rates", "hull", "labels"):
        assert cli("figure", name).code == 0
    assert cli("figure", "accuracies").out.count("z_") == 2


TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorials" / "layers.md"


def test_the_commands_of_the_tutorial_work(cli: Cli, place: Path) -> None:
    lines = [shlex.split(line) for line in TUTORIAL.read_text().splitlines() if line.startswith("ratelab ")]
    verbs = ["sweep", "evaluate", "frontier", *["figure"] * 4, "report", *["train"] * 3]
    assert [words[1] for words in lines] == verbs
    fast = ("data={name: digits, limit: 200}", "training.epochs=1", "model.latent_dim=[2,2]")
    grid = ("objective.beta.0=0.3,3", "objective.beta.1=0.3,3", "--workers", "1", "--together", "1")
    for _, verb, *words in lines:
        if verb == "report":
            continue  # half a minute of figures, which the page's own tests draw
        kept = [word for word in words if not word.startswith("objective.beta.")]
        changes = (*fast, *grid) if verb == "sweep" else fast if verb == "train" else ()
        outcome = cli(verb, *kept, *changes)
        assert outcome.code == 0, outcome.err
    assert {path.name for path in place.glob("*.svg")} == {"rates.svg", "hull.svg", "labels.svg"}
    assert (place / "accuracies.md").is_file()

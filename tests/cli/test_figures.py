"""``ratelab figure``: Alemi et al. 2018, Fig. 1 and 2, from stored runs."""

from pathlib import Path

import pytest
from command_lines import Cli

FAST = ("training.epochs=2", "training.passes=5")


def test_the_phase_diagram_needs_no_run(cli: Cli, place: Path) -> None:
    assert cli("figure", "phase", "--json").json() == {"schema": 1, "figure": "phase.svg", "runs": []}
    assert (place / "phase.svg").read_text().startswith("<svg")
    assert cli("figure", "phase", "abc").line() == "figure 'phase' takes no RUNS; leave them out"


@pytest.mark.spec("RD60")
def test_the_toy_figures_are_drawn_from_a_store(cli: Cli, place: Path) -> None:
    for recipe, seed in (("toy_elbo", 1), ("toy_elbo", 2), ("toy_target", 1), ("toy_printed", 1)):
        assert cli("train", f"alemi2018/{recipe}", *FAST, f"seed={seed}").code == 0
    document = cli("figure", "toy", "-o", "toy.png", "--json").json()
    assert (place / "toy.png").read_bytes().startswith(b"\x89PNG")
    made = [("ELBO", 1), ("ELBO", 2), ("target rate", 1), ("target rate, decoder as printed", 1)]
    assert sorted((run["title"], run["seed"]) for run in document["runs"]) == [(f"toy, {title}", seed) for title, seed in made]
    for run in document["runs"]:
        assert run["excess"] == pytest.approx(run["distortion"] + run["rate"] - 2.731876, abs=1e-5)
        assert 0 <= run["useless"] <= run["rate"]
        assert run["e"] <= run["generative_information"] <= run["g"]
    one = document["runs"][0]["run"]
    assert [run["run"] for run in cli("figure", "toy", one[:6], "--json").json()["runs"]] == [one]
    said = cli("figure", "toy-plane").out
    assert (place / "toy-plane.svg").is_file()
    assert "R - I_e, useless rate" in said
    assert "toy, ELBO (2)" in " ".join(said.split())


@pytest.mark.spec("RD58")
def test_what_models_learnt_from_samples_is_drawn_and_told(cli: Cli, place: Path) -> None:
    sample = ("data={name: toy, sample: 20}", "training.batch_size=20", *FAST)
    assert cli("train", "alemi2018/toy_elbo", "title=free", *sample).code == 0
    held = "objective={name: overfitting-target, entropy: 2.731876}"
    assert cli("train", "alemi2018/toy_elbo", "title=held", held, *sample).code == 0
    assert "holds no finished toy model; make some" in cli("figure", "toy").line()
    document = cli("figure", "overfitting", "--json").json()
    assert (place / "overfitting.svg").is_file()
    assert {run["title"] for run in document["runs"]} == {"free", "held"}
    for run in document["runs"]:
        assert run["examples"] == 20
        assert run["target"] == pytest.approx(2.731876 - 2.995732, abs=1e-5)
        assert run["u"] - run["s"] <= run["information"] + 1e-9
    assert "target H - log N" in cli("figure", "overfitting").out


TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorials" / "broken-elbo.md"


def test_the_commands_of_the_tutorial_work(cli: Cli, place: Path) -> None:
    lines = [line.split() for line in TUTORIAL.read_text().splitlines() if line.startswith("ratelab ")]
    assert [words[1:3] for words in lines] == [
        ["sweep", "alemi2018/toy"],
        ["figure", "toy"],
        ["figure", "toy-plane"],
        ["sweep", "alemi2018/overfitting"],
        ["figure", "overfitting"],
    ]
    small = {"alemi2018/toy": ("seed=1",), "alemi2018/overfitting": ("data.sample=5", "data.seed=0")}
    for _, *words in lines:
        changes = (*small[words[1]], *FAST, "--workers", "1", "--together", "1") if words[0] == "sweep" else ()
        outcome = cli(*words, *changes)
        assert outcome.code == 0, outcome.err
    assert {path.name for path in place.glob("*.svg")} == {"toy.svg", "toy-plane.svg", "overfitting.svg"}


def test_mistakes_are_one_line_and_write_nothing(cli: Cli, store: Path, run_id: str, place: Path) -> None:
    assert "unknown figure 'toi'; did you mean 'toy'?" in cli("figure", "toi").line()
    assert "holds no finished toy model; make some with 'ratelab sweep alemi2018/toy'" in cli("figure", "toy").line()
    assert "no finished toy model trained on a sample; make some with" in cli("figure", "overfitting").line()
    assert f"run {run_id} is no finished toy model" in cli("figure", "toy", run_id).line()
    assert "must be .svg or .png" in cli("figure", "phase", "-o", "phase.pdf").line()
    assert not list(place.glob("*.svg"))


def test_bars_of_the_marginal_divergence_are_drawn_and_told(cli: Cli, store: Path, run_id: str, place: Path) -> None:
    assert "no run given was measured for KL(q(z) || m(z))" in cli("figure", "kl-bars").line()
    assert not (place / "kl-bars.svg").exists()
    assert cli("evaluate", run_id, "--estimators", "marginal-kl").code == 0
    (drawn,) = cli("figure", "kl-bars", "-o", "bars.png", "--json").json()["runs"]
    assert drawn["run"] == run_id
    assert set(drawn["estimates"]) == {"rate", "marginal_kl"}
    said = cli("figure", "kl-bars", run_id).out
    assert "Monte Carlo" in said
    assert run_id in said


def test_low_posterior_samples_are_computed_once_and_kept(cli: Cli, place: Path) -> None:
    small = ("training.epochs=1", "model.encoder.network={name: mlp, hidden: [8]}", "data={name: digits, limit: 150}")
    run = cli("train", "digits/vae", *small, "--json").json()["run"]
    asked = ("--draws", "60", "--count", "6")
    (record,) = cli("figure", "low-posterior", run, *asked, "-o", "a.png", "--json").json()["runs"]
    assert (record["run"], record["draws"], record["count"]) == (run, 60, 6)
    assert record["highest_chosen_log_q"] < record["median_log_q"]
    kept = place / "runs" / run / "arrays" / "low-posterior.npz"
    made = kept.stat().st_mtime_ns
    again = cli("figure", "low-posterior-analysis", run, *asked, "-o", "b.png")
    assert again.err == "", "nothing was computed"
    assert kept.stat().st_mtime_ns == made
    assert "KL cost" in again.out
    assert "the 6 lowest of 60 draws" in " ".join(again.out.split())
    assert "70 draws of m(z)" in cli("figure", "low-posterior", run, "--draws", "70", "--count", "6", "-o", "a.png").err
    assert kept.stat().st_mtime_ns != made
    kept.write_bytes(b"broken")
    assert f"delete {Path('runs') / run}" in cli("figure", "low-posterior", run, *asked).line()


def test_low_posterior_figures_that_cannot_be_drawn_say_why(cli: Cli, store: Path, run_id: str, place: Path) -> None:
    assert cli("figure", "low-posterior").line() == "low-posterior figures are of one run; name one (see 'ratelab frontier')"
    assert "of a model with one layer of latents" in cli("figure", "low-posterior", run_id).line()
    assert cli("figure", "toy", "--count", "3").line() == "figure 'toy' takes no --count; leave it out"
    assert "did you mean 'low-posterior'?" in cli("figure", "low-posteriors").line()
    assert not list(place.glob("*.svg"))
    assert not (store / run_id / "arrays").exists()

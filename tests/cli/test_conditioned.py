"""``RUN@beta=0.5``: one model for the whole curve on the command line, on the plane and on the page."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_lines import TINY, Cli

from ratelab.cli import main

BETAS = "evaluation.betas=[0.5, 2.0, [0.5, 2.0]]"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of a conditioned run and of a separate one at beta 0.5. Not to be changed: copy it (:func:`curve`)."""
    folder = tmp_path_factory.mktemp("conditioned")
    (folder / "tiny.yaml").write_text(TINY)
    train = ["train", str(folder / "tiny.yaml"), "--store", str(folder / "runs")]
    assert main([*train, "objective.beta=0.5"]) == 0
    assert main([*train, "objective.beta=1", "model.conditioning={name: beta, range: [0.1, 4.0]}", BETAS]) == 0
    return folder / "runs"


@pytest.fixture
def curve(made: Path, place: Path) -> Path:
    return Path(shutil.copytree(made, place / "runs"))


def ids(store: Path) -> tuple[str, str]:
    """The ids of the conditioned run and of the separate one."""
    names = [folder.name for folder in store.iterdir() if folder.is_dir()]
    conditioned = next(n for n in names if "points" in json.loads((store / n / "results.json").read_text()))
    return conditioned, next(n for n in names if n != conditioned)


def test_the_points_of_one_model_stand_on_the_plane_beside_the_separate_run(curve: Path, cli: Cli) -> None:
    one, separate = ids(curve)
    results = json.loads((curve / one / "results.json").read_text())
    assert [p["condition"] for p in results["points"]] == [{"beta": 0.5}, {"beta": [0.5, 2.0]}, {"beta": 2.0}]
    assert all({"rate", "rates", "distortion", "neg_elbo"} <= set(p["estimates"]) for p in results["points"])
    found = cli("frontier", "--json").json()
    names = [f"{one}@beta=0.5", f"{one}@beta=0.5,2", f"{one}@beta=2"]
    assert set(found["hull"]) <= {*names, separate}
    assert any(name in found["frontier"] for name in names)
    entries = {run["run"]: run for run in found["runs"]}
    assert set(entries) == {one, separate}
    assert [p["run"] for p in entries[one]["points"]] == names
    assert entries[one]["family"] == "hierarchy, one model for all beta, 2 layers"
    (gap,) = found["gaps"]
    assert (gap["run"], gap["separate"], gap["beta"]) == (names[0], separate, 0.5)
    own, other = (np.load(curve / run / "per_example.npz") for run in (one, separate))
    end = "@beta=0.5"
    loss = own["distortion" + end] + 0.5 * own["rate" + end] - other["distortion"] - 0.5 * other["rate"]
    assert gap["mean"] == pytest.approx(float(loss.mean()))
    assert gap["stderr"] == pytest.approx(float(loss.std(ddof=1)) / len(loss) ** 0.5)


def test_a_point_is_held_against_other_widths_where_no_model_has_its_networks(curve: Path, cli: Cli) -> None:
    one, _ = ids(curve)
    cli("train", "tiny.yaml", "objective.beta=2", "training.epochs=1", "model.latent_dim=[1, 3]")  # no rival: other latents
    assert len(cli("frontier", "--json").json()["gaps"]) == 1
    for width in ("8", "16"):  # the model for all beta has 16
        narrow = f"model.encoder.network.hidden=[{width}]"
        run = cli("train", "tiny.yaml", "objective.beta=2", "training.epochs=1", narrow, "--json").json()["run"]
        gaps = cli("frontier", "--json").json()["gaps"]
        assert [(gap["run"], gap["beta"]) for gap in gaps] == [(f"{one}@beta=0.5", 0.5), (f"{one}@beta=2", 2.0)]
        assert (gaps[1]["separate"], gaps[1]["same_networks"]) == (run, width == "16")
        assert ("other widths" in cli("frontier").out) == (width == "8")


def test_the_page_shows_the_points_and_what_they_lose(curve: Path, cli: Cli) -> None:
    one, separate = ids(curve)
    assert cli("report", "-o", "page.html").code == 0
    page = Path("page.html").read_text()
    assert "One model for the whole curve" in page
    assert f"<code>{one}@beta=0.5</code>" in page
    assert "circle-open" in page
    assert "Multi-Rate VAE" in page
    table = cli("frontier").out
    assert "against models trained for one" in table
    assert separate in table


def test_any_beta_of_the_range_is_measured_without_training_again(curve: Path, cli: Cli) -> None:
    one, _ = ids(curve)
    weights = (curve / one / "model.safetensors").read_bytes()
    before = json.loads((curve / one / "results.json").read_text())
    (view,) = cli("evaluate", f"{one}@beta=0.37", "--json").json()["runs"]
    assert view["run"] == f"{one}@beta=0.37"
    assert view["condition"] == {"beta": 0.37}
    after = json.loads((curve / one / "results.json").read_text())
    assert [p["condition"]["beta"] for p in after["points"]] == [0.37, 0.5, [0.5, 2.0], 2.0]
    assert after["estimates"] == before["estimates"]
    assert (curve / one / "model.safetensors").read_bytes() == weights
    again = cli("evaluate", f"{one}@beta=0.37", "--json")
    assert "nothing new to measure" in again.err
    assert again.json()["runs"] == [view]
    (more,) = cli("evaluate", f"{one}@beta=0.37", "--estimators", "psnr", "--json").json()["runs"]
    assert more["estimates"]["rate"] == view["estimates"]["rate"]
    assert "psnr" in more["estimates"]


def test_what_is_made_of_a_run_depends_on_the_beta_in_its_name(curve: Path, cli: Cli) -> None:
    one, _ = ids(curve)
    for command in (["sample", "-n", "4"], ["reconstruct", "-n", "4"], ["encode"], ["interpolate", "--pairs", "2"]):
        arrays = []
        for beta in ("0.1", "4"):
            made = cli(command[0], f"{one}@beta={beta}", *command[1:], "-o", "made.npz", "--json")
            assert made.json()["run"] == f"{one}@beta={beta}"
            with np.load("made.npz") as archive:
                arrays.append(archive[archive.files[0]] if command[0] != "reconstruct" else archive["mean"])
        assert not np.allclose(*arrays), command
    plainly = cli("sample", one, "-n", "4", "-o", "made.npz")
    assert plainly.code == 0
    assert "one model for beta 0.1 to 4, taken here at 1" in plainly.err
    compared = cli("frontier", "--compare", f"{one}@beta=0.5", f"{one}@beta=2", "--json").json()
    assert compared["compare"] == [f"{one}@beta=0.5", f"{one}@beta=2"]
    assert compared["differences"]["distortion"]["mean"] != 0
    assert "bae2023multirate" in cli("cite", f"{one}@beta=0.5").out


def test_mistakes_about_beta_are_one_line(curve: Path, cli: Cli) -> None:
    one, separate = ids(curve)
    for words, wanted in (
        (["sample", f"{one}@beta=9"], "beta 9 lies outside [0.1, 4]"),
        (["evaluate", f"{one}@beta=9"], "beta 9 lies outside [0.1, 4]"),
        (["encode", f"{one}@beta=1,1,1"], "3 values for a model of 2 layer(s)"),
        (["sample", f"{one}@beta=low"], "expected RUN@beta=NUMBER"),
        (["sample", f"{one}@rate=1"], "expected RUN@beta=NUMBER"),
        (["sample", f"{separate}@beta=0.5"], "is a model of one beta"),
        (["evaluate", f"{separate}@beta=0.5"], "is a model of one beta"),
        (["frontier", "--compare", f"{one}@beta=0.7", separate], f"'ratelab evaluate {one}@beta=0.7' does so"),
        (
            ["train", "tiny.yaml", "objective.beta=1", "model.conditioning=beta", "evaluation.betas=[9.0]"],
            "beta 9 lies outside",
        ),
        (["train", "tiny.yaml", "objective.beta=2", "model.conditioning=beta"], "leave this at 1"),
        (["train", "tiny.yaml", "model.conditioning=beta", "objective=elbo"], "use objective 'beta'"),
    ):
        assert wanted in cli(*words).line(), words
    assert {recipe.parent.name for recipe in curve.glob("*/recipe.json")} == {one, separate}

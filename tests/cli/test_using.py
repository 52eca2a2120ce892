"""Commands that use a trained model: sample, reconstruct, interpolate, encode."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_lines import Cli
from PIL import Image

from ratelab.runs import open_run
from ratelab.store import Store


def arrays(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as found:
        return dict(found.items())


def test_sample_writes_arrays_that_the_seed_decides(cli: Cli, run_id: str, place: Path) -> None:
    document = cli("sample", run_id, "-n", "7", "-o", "a.npz", "--seed", "3", "--json").json()
    assert document == {"schema": 1, "run": run_id, "output": "a.npz", "n": 7, "seed": 3}
    first = arrays(place / "a.npz")
    assert {name: values.shape for name, values in first.items()} == {"mean": (7, 1, 8, 8), "sample": (7, 1, 8, 8)}
    assert set(np.unique(first["sample"])) <= {0.0, 1.0}
    cli("sample", run_id, "-n", "7", "-o", "b.npz", "--seed", "3")
    cli("sample", run_id, "-n", "7", "-o", "c.npz", "--seed", "4")
    assert all((first[name] == values).all() for name, values in arrays(place / "b.npz").items())
    assert (first["mean"] != arrays(place / "c.npz")["mean"]).any()


@pytest.mark.spec("GE06")
def test_reconstructions_of_one_latent_are_decoded_repeatedly(cli: Cli, run_id: str, place: Path) -> None:
    assert cli("reconstruct", run_id, "-n", "200", "--draws", "40", "-o", "r.npz").code == 0
    found = arrays(place / "r.npz")
    assert {values.shape for values in found.values()} == {(200, 1, 8, 8)}
    mean, average = found["mean"], found["average"]
    # With one z per example the draws are Bernoulli(mean): their average is off by its standard error and no more.
    z = (average - mean) / np.sqrt(mean * (1 - mean) / 40)
    sure = np.minimum(mean, 1 - mean) > 0.1
    assert abs(float(z[sure].mean())) < 4 / np.sqrt(sure.sum())
    assert float((z[sure] ** 2).mean()) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    ("command", "size"),
    [
        (["sample", "-n", "16"], (8 * 34 - 2, 2 * 34 - 2)),
        (["reconstruct", "-n", "10"], (12 * 34 - 2, 3 * 34 - 2)),
        (["interpolate", "--pairs", "3", "--steps", "5"], (5 * 34 - 2, 3 * 34 - 2)),
    ],
)
def test_pictures_are_grids(cli: Cli, run_id: str, place: Path, command: list[str], size: tuple[int, int]) -> None:
    assert cli(command[0], run_id, *command[1:], "-o", "p.png").out == "p.png\n"
    with Image.open(place / "p.png") as picture:
        assert picture.size == size
        assert np.asarray(picture.convert("L")).std() > 5


def test_a_reconstruction_stands_beside_its_example(cli: Cli, run_id: str, place: Path) -> None:
    cli("reconstruct", run_id, "-n", "5", "-o", "r.npz")
    cli("reconstruct", run_id, "-n", "5", "-o", "r.png")
    found = arrays(place / "r.npz")
    with Image.open(place / "r.png") as picture:
        pixels = np.asarray(picture.convert("L"))
    for column, name in enumerate(("x", "sample", "average")):
        fifth = pixels[34:66, 34 * column : 34 * column + 32][2::4, 2::4]
        np.testing.assert_allclose(fifth / 255, found[name][4, 0], atol=0.01)


@pytest.mark.spec("GE06")
@pytest.mark.parametrize("path", ["linear", "spherical"])
def test_interpolations_start_and_end_at_the_modes_of_their_examples(
    cli: Cli, store: Path, run_id: str, place: Path, path: str
) -> None:
    words = ["--pairs", "2", "--steps", "4", "--path", path, "-o", "i.npz"]
    assert cli("interpolate", store / run_id, *words).code == 0
    found = arrays(place / "i.npz")
    assert found["path"].shape == (2, 4, 1, 8, 8)
    np.save(place / "first.npy", found["first"])
    cli("encode", run_id, "first.npy", "-o", "z.npz")
    model = open_run(Store(store).find(run_id)).model
    from ratelab.evaluation.latents import decode

    z = arrays(place / "z.npz")
    np.testing.assert_allclose(found["path"][:, 0], decode(model, [z["z2"], z["z1"]]), atol=1e-5)


def test_encode_writes_every_layer_and_the_labels(cli: Cli, run_id: str, place: Path) -> None:
    document = cli("encode", run_id, "-o", "z.npz", "--json").json()
    assert document["arrays"] == {"z2": [250, 2], "z1": [250, 3], "y": [250]}
    modes = arrays(place / "z.npz")
    assert len(np.unique(modes["y"])) == 10
    cli("encode", run_id, "--seed", "1", "-o", "drawn.npz")
    assert (arrays(place / "drawn.npz")["z1"] != modes["z1"]).mean() > 0.99
    assert cli("encode", run_id, "--split", "train", "--json").json()["arrays"]["z1"] == [200, 3]


def test_encode_takes_a_file_of_examples_with_or_without_a_channel_axis(
    cli: Cli, store: Path, run_id: str, place: Path
) -> None:
    x = open_run(Store(store).find(run_id)).dataset.test.x
    cli("encode", run_id, "-o", "own.npz")
    np.save(place / "flat.npy", x[:5, 0])
    np.savez(place / "named.npz", x=x[:5], other=np.zeros(2))
    for name in ("flat.npy", "named.npz"):
        assert cli("encode", run_id, name, "-o", "file.npz").code == 0
        np.testing.assert_array_equal(arrays(place / "file.npz")["z1"], arrays(place / "own.npz")["z1"][:5])
    np.savez(place / "unnamed.npz", a=x, b=x)
    assert "several arrays (a, b)" in cli("encode", run_id, "unnamed.npz").line()


def test_grey_levels_and_fractions_are_the_same_examples(cli: Cli, place: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    np.save(place / "grey.npy", levels)
    np.save(place / "fractions.npy", levels / 255)
    words = ["data={name: array, path: grey.npy}", "model.decoder={name: gaussian, network: {name: mlp, hidden: [8]}}"]
    run = cli("train", "tiny.yaml", *words, "training.epochs=1", "--json").json()["run"]
    for name in ("grey", "fractions"):
        assert cli("encode", run, f"{name}.npy", "-o", f"{name}.npz").code == 0
    np.testing.assert_allclose(arrays(place / "grey.npz")["z1"], arrays(place / "fractions.npz")["z1"], atol=1e-5)


def test_resampled_training_images_are_encoded_as_zeros_and_ones() -> None:
    from ratelab.cli.arrays import examples
    from ratelab.core.dataset import Dataset, Split, Support

    grey, binary = Split(np.full((4, 3), 128, np.uint8)), Split(np.ones((4, 3), np.uint8))
    dataset = Dataset("drawn", Support.BINARY, grey, binary, binary, resampled=True)
    assert set(np.unique(examples(dataset, "train"))) == {0.0, 1.0}
    assert (examples(dataset, "test") == 1).all()


def test_tables_have_no_pictures_but_arrays(cli: Cli, place: Path) -> None:
    np.save(place / "table.npy", np.random.default_rng(0).normal(size=(80, 5)))
    words = ["data={name: array, path: table.npy}", "model.decoder={name: gaussian, network: {name: mlp, hidden: [8]}}"]
    run = cli("train", "tiny.yaml", *words, "training.epochs=1", "--json").json()["run"]
    assert "have shape (5,), no image; use .npz" in cli("sample", run, "-o", "p.png").line()
    assert cli("sample", run, "-o", "p.npz").code == 0


def test_a_model_without_latents_has_nothing_to_encode(cli: Cli, place: Path) -> None:
    density = "{name: density, law: {name: gated-pixelcnn, features: 2, layers: 1}}"
    run = cli("train", "digits/vae", f"model={density}", "training.epochs=1", "--json").json()["run"]
    for command in ("encode", "interpolate"):
        said = cli(command, run, "-o", "out.npz")
        assert said.code == 2
        assert "this model has no latents" in said.err
        assert not (place / "out.npz").exists()


def test_a_failed_write_leaves_the_old_file(cli: Cli, run_id: str, place: Path) -> None:
    (place / "s.npz").write_text("old")
    assert cli("sample", run_id, "-n", "0", "-o", "s.npz").code == 2
    assert (place / "s.npz").read_text() == "old"
    assert cli("sample", run_id, "-n", "2", "-o", "s.npz").code == 0
    assert arrays(place / "s.npz")
    assert not list(place.glob(".*tmp*"))

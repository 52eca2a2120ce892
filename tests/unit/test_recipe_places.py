"""Where a recipe's data lies: beside the recipe, in the working directory, somewhere else tomorrow."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_runs import NETWORK, tiny

from ratelab.core.errors import UserError
from ratelab.runs import Circumstances, execute, expand, from_mapping, open_run, read_recipe, resolve
from ratelab.store import Store

OWN: dict[str, Any] = {
    "data": {"name": "array", "path": "x.npy"},
    "model": {
        "name": "vae",
        "latent_dim": 2,
        "encoder": {"name": "gaussian", "network": NETWORK},
        "decoder": {"name": "gaussian", "network": NETWORK},
    },
    "training": {"epochs": 1, "batch_size": 20},
}
TEXT = """
data: {name: array, path: x.npy}
model: vae
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe file in one folder; the working directory is another one beside it."""
    for name in ("recipes", "here"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    file = tmp_path / "recipes" / "own.yaml"
    file.write_text(TEXT)
    return file


def paths(recipe: Path, *assignments: str) -> list[str]:
    return [run.data["path"] for run in expand(read_recipe(recipe), assignments)]


def array(folder: Path) -> str:
    path = folder / "x.npy"
    np.save(path, np.random.RandomState(0).standard_normal((60, 3)))
    return str(path)


def test_a_path_in_a_file_is_looked_for_beside_the_file_first(recipe: Path) -> None:
    here = array(Path.cwd())
    assert paths(recipe) == [here]
    beside = array(recipe.parent)
    assert paths(recipe) == [beside]
    assert paths(Path("../recipes/own.yaml")) == [str(Path.cwd() / "../recipes/x.npy")]


def test_a_typed_path_is_taken_from_the_working_directory(recipe: Path) -> None:
    array(recipe.parent)
    here = str(Path.cwd() / "x.npy")
    assert paths(recipe, "data.path=x.npy") == [here]
    assert paths(recipe, "data={name: array, path: x.npy}") == [here]
    assert paths(recipe, "data.path=x.npy,y.npy") == [here, str(Path.cwd() / "y.npy")]


@pytest.mark.parametrize("more", ["sweep: {data.path: [x.npy]}", "sweep: {data.path: x.npy}", "families: [{data.path: x.npy}]"])
def test_paths_in_sweeps_and_families_of_a_file_are_its_own(recipe: Path, more: str) -> None:
    recipe.write_text(TEXT.replace("x.npy", "other.npy") + more)
    beside = array(recipe.parent)
    assert paths(recipe) == [beside]


def test_a_home_folder_and_an_absolute_path_are_what_they_are(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert paths(
        recipe,
        "data.path=~/x.npy",
    ) == ["/somewhere/x.npy"]
    assert paths(recipe, "data.path=/data/x.npy") == ["/data/x.npy"]


def test_a_path_that_is_no_text_is_answered(recipe: Path) -> None:
    with pytest.raises(UserError, match=r"data\.path: expected a text; got 5"):
        paths(recipe, "data.path=5")


def test_a_path_is_no_part_of_the_identity() -> None:
    one, other = (resolve({**OWN, "data": {"name": "array", "path": path}}) for path in ("/a/x.npy", "/b/y.npy"))
    assert one.identity("digest", {}) == other.identity("digest", {}) != other.identity("another", {})
    assert one.key() != other.key()
    assert tiny().identity("digest", {}) != tiny("data.limit=7").identity("digest", {})


def test_a_run_is_found_again_and_usable_where_its_data_moved_to(recipe: Path, tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store")
    array(Path.cwd())
    (first,) = expand(from_mapping(OWN, "own"))
    results = execute(first, store)
    (Path.cwd() / "x.npy").rename(tmp_path / "renamed.npy")
    (second,) = expand(from_mapping(OWN, "own"), [f"data.path={tmp_path / 'renamed.npy'}"])
    assert execute(second, store) == results
    folder = store.run(results["run"])
    assert folder.recipe()["data"]["path"] == str(tmp_path / "renamed.npy")
    assert open_run(folder, Circumstances()).run == results["run"]

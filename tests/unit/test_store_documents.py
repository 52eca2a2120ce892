"""Documents that are JSON and still not what they should be: one line that names the file and the remedy."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ratelab.core.errors import UserError
from synthetic_store import write_run

Change = Callable[[dict[str, Any]], object]

BITS = {"bytes": 9, "bits_per_example": 1.5, "first_example_overhead_bits": 32}
RESULTS: dict[str, tuple[Change, str]] = {
    "nothing but a status": (lambda d: [d.pop(key) for key in ("run", "recipe", "estimates")], "it has no 'run'"),
    "no validation": (lambda d: d.pop("validation"), "it has no 'validation'"),
    "estimates in a list": (lambda d: d.update(estimates=[]), "'estimates' holds no names"),
    "an unknown status": (lambda d: d.update(status="fine"), "its status is none of done"),
    "a status that is a list": (lambda d: d.update(status=["done"]), "its status is none of done"),
    "a word for a number": (lambda d: d["estimates"]["rate"].update(value="abc"), "'estimates.rate' is no estimate"),
    "a layer without a value": (lambda d: d["validation"]["rates"][0].pop("value"), "'validation.rates' is no estimate"),
    "an unknown bound": (lambda d: d["estimates"]["rate"].update(bound="sideways"), "'estimates.rate' is no estimate"),
    "a name that is a number": (lambda d: d["estimates"]["rate"].update(of=3), "'estimates.rate' is no estimate"),
    "no rate": (lambda d: d["estimates"].pop("rate"), "it has no estimate 'rate'"),
    "no layers": (lambda d: d["estimates"].update(rates=[]), "it has no estimate 'rates'"),
    "a recipe without a model": (lambda d: d["recipe"].pop("model"), "its 'model' has no name"),
    "no schema": (lambda d: d.update(schema="one"), "it names no schema"),
    "bits in words": (lambda d: d.update(bits={"n": "many"}), "'bits' are no numbers"),
    "bits of nothing": (lambda d: d.update(bits={**BITS, "n": 0}), "'bits' are of no example"),
    "no number": (lambda d: d["estimates"]["rate"].update(value=float("nan")), "it holds NaN, which is not JSON"),
}


@pytest.mark.parametrize(("change", "what"), RESULTS.values(), ids=RESULTS)
def test_damaged_results_are_one_line(tmp_path: Path, change: Change, what: str) -> None:
    folder = write_run(tmp_path, "a", [1.0], 2.0)
    path = folder.path / "results.json"
    assert folder.results() is not None
    _change(path, change)
    with pytest.raises(UserError) as caught:
        folder.results()
    said = str(caught.value)
    assert said.startswith(f"{path} is corrupt ({what}")
    assert f"); delete {path} and give the run's train command again: the trained model is evaluated again" in said
    assert "\n" not in said


@pytest.mark.parametrize("data", [3, None, {}, {"name": 3}, ["digits"]])
def test_a_recipe_names_what_it_is_made_of(tmp_path: Path, data: object) -> None:
    folder = write_run(tmp_path, "a", [1.0], 2.0)
    _change(folder.path / "recipe.json", lambda d: d.update(data=data))
    with pytest.raises(UserError, match=r"recipe\.json is corrupt \(its 'data' has no name\); .* train the run again"):
        folder.recipe()


@pytest.mark.parametrize("wrong", [{"seconds": 3}, {"seconds": {"data": "long"}}, {"finished": "soon"}, {"started": 12}])
def test_damaged_provenance_costs_no_training(tmp_path: Path, wrong: dict[str, object]) -> None:
    folder = write_run(tmp_path, "a", [1.0], 2.0)
    _change(folder.path / "provenance.json", lambda d: d.update(wrong))
    with pytest.raises(
        UserError, match=r"provenance\.json is corrupt \(.*\); delete it; the numbers of the run do not need it"
    ):
        folder.provenance()
    (folder.path / "provenance.json").unlink()
    assert folder.provenance() == {}


@pytest.mark.parametrize("file", ["results", "recipe", "provenance"])
def test_newer_documents_ask_for_an_upgrade(tmp_path: Path, file: str) -> None:
    folder = write_run(tmp_path, "a", [1.0], 2.0)
    _change(folder.path / f"{file}.json", lambda d: d.update(schema=99))
    with pytest.raises(
        UserError, match=rf"{file}\.json was written by a newer RateLab \(schema 99, this one knows 1\); upgrade"
    ):
        getattr(folder, file)()


def _change(path: Path, change: Change) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))

"""Commands that look things up: list, cite, data."""

from pathlib import Path

import pytest
from command_lines import Cli

from ratelab.cli.catalogue import KINDS
from ratelab.core import reference


def test_list_names_everything_in_the_tables(cli: Cli) -> None:
    from ratelab.data import DATASETS
    from ratelab.objectives import OBJECTIVES

    document = cli("list", "--json").json()
    assert set(document) == {"schema", *KINDS}
    assert {row["name"] for row in document["objectives"]} == set(OBJECTIVES)
    assert {row["name"] for row in document["datasets"]} == set(DATASETS)
    text = cli("list").out
    assert all(row["name"] in text for kind in KINDS for row in document[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_every_entry_of_a_kind_explains_itself(cli: Cli, kind: str) -> None:
    rows = cli("list", kind, "--json").json()[kind]
    assert rows
    for row in rows:
        assert row["summary"], row
        assert "``" not in row["summary"]
        assert all(set(option) == {"name", "type", "default", "required"} for option in row["options"])
        assert all("anything" not in option["type"] for option in row["options"]), row
    text = cli("list", kind).out
    assert all(option["name"] in text for row in rows for option in row["options"])


def test_options_are_described_in_words(cli: Cli) -> None:
    (beta,) = [row for row in cli("list", "objectives", "--json").json()["objectives"] if row["name"] == "beta"]
    by_name = {option["name"]: option for option in beta["options"]}
    assert by_name["beta"] == {
        "name": "beta",
        "type": "number >= 0 or list of number >= 0",
        "default": 1.0,
        "required": False,
    }
    (array,) = [row for row in cli("list", "datasets", "--json").json()["datasets"] if row["name"] == "array"]
    assert next(option for option in array["options"] if option["name"] == "path")["required"]


def test_recipes_say_how_many_runs_they_are(cli: Cli) -> None:
    rows = {row["name"]: row for row in cli("list", "recipes", "--json").json()["recipes"]}
    assert rows["digits/demo"]["runs"] == 22
    assert rows["digits/vae"]["runs"] == 1


def test_cite_gives_the_papers_of_all_parts_of_a_run_and_the_framework_always(cli: Cli, run_id: str) -> None:
    from ratelab.estimators import ESTIMATORS
    from ratelab.objectives import OBJECTIVES

    document = cli("cite", run_id[:6], "--json").json()
    keys = [entry["key"] for entry in document["references"]]
    assert document["run"] == run_id
    assert keys[0] == reference.A18.key
    assert keys[-1] == "ratelab"
    assert len(set(keys)) == len(keys)
    for table, name in ((OBJECTIVES, "beta"), (ESTIMATORS, "rate-distortion")):
        assert {r.paper.key for r in table[name].target.references} <= set(keys)  # type: ignore[attr-defined]
    text = cli("cite", run_id).out
    assert text.count("@") == len(keys)
    assert all(entry["bibtex"] in text for entry in document["references"])


def test_cite_follows_nodes_inside_nodes() -> None:
    from ratelab.cli.cite import used
    from ratelab.runs import read_recipe, single

    names = {(entry.kind, entry.name) for entry in used(single(read_recipe("digits/hierarchy")))}
    assert {
        ("model", "hierarchy"),
        ("encoder", "gaussian"),
        ("feature network", "mlp"),
        ("conditional marginal", "gaussian"),
    } <= names


def test_data_list_tells_what_is_here(cli: Cli, place: Path) -> None:
    document = cli("data", "--json").json()
    assert document["folder"] == str(place / "data")
    rows = {row["name"]: row for row in document["datasets"]}
    assert (rows["digits"]["status"], rows["mnist"]["status"]) == ("ready", "missing")
    assert cli("data", "list", "--json", "--folder", "other").json()["folder"] == "other"
    assert "fashion-mnist" in cli("data", "list").out


def test_data_that_needs_no_files(cli: Cli) -> None:
    outcome = cli("data", "fetch", "digits", "--json")
    assert outcome.json() == {"schema": 1, "name": "digits", "files": []}
    assert "needs no files" in outcome.err
    assert cli("data", "fetch", "digits").out == ""


def test_verify_says_by_what_a_file_was_checked(cli: Cli, place: Path) -> None:
    home = place / "data" / "omniglot-28"
    home.mkdir(parents=True)
    (home / "omniglot_28.npz").write_bytes(b"")
    document = cli("data", "verify", "omniglot-28", "--json").json()
    assert [file["status"] for file in document["files"]] == ["ok"]
    assert "omniglot_28.npz" in cli("data", "verify", "omniglot-28").out

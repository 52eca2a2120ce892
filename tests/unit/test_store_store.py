"""A store: made once, recognised, listed, searched."""

import json
from pathlib import Path

import pytest

from ratelab.core.errors import UserError
from ratelab.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store.create(tmp_path / "runs")
    for run in ("aa0000000000", "aa1111111111", "bb0000000000"):
        (made.path / run).mkdir()
        made.run(run).write_recipe({"data": "digits"})
    return made


def test_a_store_is_made_where_nothing_is_and_opened_again(tmp_path: Path) -> None:
    made = Store.create(tmp_path / "deep" / "runs")
    assert json.loads((made.path / "store.json").read_text()) == {"schema": 1}
    assert Store.create(made.path).runs() == []
    assert Store(str(made.path)).path == made.path


def test_another_process_may_be_making_the_same_store(tmp_path: Path) -> None:
    (tmp_path / ".store.json.0123.tmp").write_text("")
    Store.create(tmp_path)


def test_a_newer_schema_asks_for_an_upgrade(tmp_path: Path) -> None:
    (tmp_path / "store.json").write_text('{"schema": 2}')
    for opening in (Store, Store.create):
        with pytest.raises(UserError, match=r"newer RateLab \(schema 2, this one knows 1\); upgrade"):
            opening(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"schema": "1"}', '{"schema": 0}'])
def test_a_damaged_mark_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "store.json").write_text(content)
    with pytest.raises(UserError, match=r"store\.json is corrupt"):
        Store(tmp_path)


def test_what_is_no_store_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist; train something first"):
        Store(tmp_path / "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="it is a file"):
        Store(tmp_path / "file")
    with pytest.raises(UserError, match="a file is in the way"):
        Store.create(tmp_path / "file")
    with pytest.raises(UserError, match="is no store"):
        Store(tmp_path)
    with pytest.raises(UserError, match="holds other files and no store"):
        Store.create(tmp_path)


def test_only_started_runs_are_listed(store: Store) -> None:
    (store.path / "cc0000000000").mkdir()
    (store.path / "notes").mkdir()
    (store.path / "dd0000000000").write_text("")
    assert [run.id for run in store.runs()] == ["aa0000000000", "aa1111111111", "bb0000000000"]


def test_runs_are_found_by_the_start_of_their_id(store: Store) -> None:
    assert store.find("b").id == "bb0000000000"
    assert store.find("aa1111111111").id == "aa1111111111"
    with pytest.raises(UserError, match=r"'aa' starts 2 runs .* aa0000000000, aa1111111111; type more"):
        store.find("aa")
    with pytest.raises(UserError, match=r"no run 'bb1' .* did you mean bb0000000000"):
        store.find("bb1")
    for nonsense in ("", "../aa0000000000", "zz"):
        with pytest.raises(UserError, match="no run"):
            store.find(nonsense)


def test_an_empty_store_has_no_run_to_find(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no run yet"):
        Store.create(tmp_path / "s").find("a")

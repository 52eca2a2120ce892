"""The training log: rows appended, cut-short lines left out, later epochs dropped on continuing."""

import math
from pathlib import Path

import pytest

from ratelab.core.errors import UserError
from ratelab.store.log import append_row, keep_epochs, read_rows


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.jsonl"
    for epoch in (1, 2, 3):
        append_row(path, {"epoch": epoch, "train/rates": [1.5, 0.25]})
    return path


def test_rows_come_back_in_order(log: Path) -> None:
    assert [row["epoch"] for row in read_rows(log)] == [1, 2, 3]
    assert read_rows(log)[0] == {"epoch": 1, "train/rates": [1.5, 0.25]}
    assert read_rows(log.with_name("none")) == []


def test_unknown_and_infinite_numbers_are_json(tmp_path: Path) -> None:
    append_row(tmp_path / "log", {"epoch": 1, "a": math.nan, "b": [math.inf, (-math.inf,)], "c": {"d": math.nan}, "e": True})
    assert (tmp_path / "log").read_text() == '{"epoch":1,"a":null,"b":["inf",["-inf"]],"c":{"d":null},"e":true}\n'


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_last_line_cut_short_by_a_kill_is_no_row(log: Path, cut: int) -> None:
    log.write_bytes(log.read_bytes()[:-cut] if cut > 1 else log.read_bytes() + b'{"epoch": 4, "tr')
    whole = 3 if cut == 1 else 2
    assert len(read_rows(log)) == whole
    keep_epochs(log, 10)
    append_row(log, {"epoch": whole + 1})
    assert [row["epoch"] for row in read_rows(log)] == list(range(1, whole + 2))


def test_rows_after_an_epoch_are_dropped(log: Path) -> None:
    before = log.read_bytes()
    keep_epochs(log, 3)
    assert log.read_bytes() == before
    keep_epochs(log, 1)
    assert log.read_bytes() == before.splitlines(keepends=True)[0]
    keep_epochs(log, 0)
    assert log.read_bytes() == b""


def test_a_log_in_a_place_that_cannot_be_written_is_a_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        append_row(tmp_path / "file" / "log.jsonl", {"epoch": 1})

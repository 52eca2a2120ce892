"""Whole files: replaced in one step or not at all, and what the system refuses is one line."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ratelab.core.errors import UserError
from ratelab.store.files import make_folder, read_file, read_json, sweep_up, write_file, write_json


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_writing_replaces_the_whole_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_file(tmp_path / "a", b"old content")
    write_file(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "read-only"),
        (errno.EFBIG, "larger than this system allows"),
        (errno.EDQUOT, "quota"),
        (errno.EIO, os.strerror(errno.EIO).lower()),
    ],
)
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_refused_write_is_one_line_and_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: int, said: str
) -> None:
    write_file(tmp_path / "a", b"old")

    def refuse(*args: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, step, refuse)
    with pytest.raises(UserError, match=said) as caught:
        write_file(tmp_path / "a", b"new")
    assert str(tmp_path / "a") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


FULL_DISK = """
import resource, sys
from pathlib import Path
from ratelab.core.errors import UserError
from ratelab.store.files import write_file
from ratelab.store.log import append_row

folder = Path(sys.argv[1])
write_file(folder / "a", b"old")
append_row(folder / "log.jsonl", {"epoch": 1})
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
for act in (lambda: write_file(folder / "a", b"x" * 5000), lambda: append_row(folder / "log.jsonl", {"text": "x" * 5000})):
    try:
        act()
    except UserError as error:
        print(error)
"""


def test_a_write_that_the_kernel_cuts_short_leaves_the_old_file_and_whole_rows(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.count("larger than this system allows") == 2
    assert (tmp_path / "a").read_bytes() == b"old"
    assert (tmp_path / "log.jsonl").read_text() == '{"epoch":1}\n'
    assert names(tmp_path) == ["a", "log.jsonl"]


def test_a_folder_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="a file is in the way"):
        make_folder(tmp_path / "file" / "below")
    with pytest.raises(UserError, match="a file is in the way"):
        make_folder(tmp_path / "file")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="permission denied"):
        write_file(tmp_path / "a", b"")


def test_what_killed_writers_left_is_swept_up(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for left in (".recipe.json.0123456789ab.tmp", "pictures/.a.png.0123456789ab.tmp"):
        (tmp_path / left).write_text("half")
    (tmp_path / "recipe.json").write_text("{}")
    sweep_up(tmp_path)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["recipe.json"]


@pytest.mark.parametrize("content", ["", "{", '{"a": ', "[1]", "\xff\xfe", "[" * 100_000])
def test_damaged_json_names_the_file_and_what_to_do(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=r"a\.json is corrupt .*; start again"):
        read_json(tmp_path / "a.json", "start again")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="gone is missing; look elsewhere"):
        read_file(tmp_path / "gone", "look elsewhere")
    with pytest.raises(UserError, match="cannot read"):
        read_file(tmp_path, "")


def test_json_is_written_for_people_and_without_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": [1, "é"]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": [1, "é"]}
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert names(tmp_path) == ["a.json"]

"""The training log: one JSON object per line, one line per epoch, appended while the training runs.

JSON has neither NaN nor infinity: an unknown number is ``null``, an infinite one ``"inf"`` or ``"-inf"``. A line that a kill
cut short is not a row: reading leaves it out, and continuing a training drops it.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ratelab.core.estimate import number_to_json
from ratelab.store.files import read_file, write_file, writing

Row = Mapping[str, Any]
TAIL = 1 << 16  # bytes at the end of a log that hold its last row


def append_row(path: Path, row: Row) -> None:
    """Add one row at the end; what was half written before a full disk is taken back."""
    line = (json.dumps(jsonable(row), allow_nan=False, separators=(",", ":")) + "\n").encode()
    with writing(path), open(path, "ab", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        try:
            _write_all(file.fileno(), line)
        except OSError:
            file.truncate(end)
            raise


def _write_all(handle: int, content: bytes) -> None:
    while content:
        content = content[os.write(handle, content) :]


def flush_log(path: Path) -> None:
    """Make all rows durable (before a checkpoint that counts on them)."""
    if path.is_file():
        with writing(path), open(path, "rb+") as file:
            os.fsync(file.fileno())


def read_rows(path: Path) -> list[dict[str, Any]]:
    """All whole rows; none where there is no log yet."""
    if not path.is_file():
        return []
    return _rows(read_file(path, "train the run again"))


def last_row(path: Path) -> dict[str, Any] | None:
    """The last whole row; None where there is none yet."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            rows = _rows(file.read())
    except OSError:
        return None
    return rows[-1] if rows else None


def _rows(content: bytes) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for line in content.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def keep_epochs(path: Path, epoch: int) -> None:
    """Drop the rows after ``epoch`` and a half-written last line: where a continued training starts again."""
    if path.is_file():
        kept = [row for row in read_rows(path) if row.get("epoch", 0) <= epoch]
        lines = [json.dumps(row, separators=(",", ":")) + "\n" for row in kept]
        write_file(path, "".join(lines).encode())


def jsonable(value: Any) -> Any:
    """Numbers as JSON has them, in mappings and lists of any depth.

    >>> jsonable({"a": [1, float("nan"), float("inf")]})
    {'a': [1, None, 'inf']}
    """
    if isinstance(value, Mapping):
        return {str(key): jsonable(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(entry) for entry in value]
    return number_to_json(value) if isinstance(value, float) else value

"""Whole files, written so that a killed process leaves the old one or the new one, and read so that damage is named.

Content goes to a temporary name in the same folder, is flushed to the disk and renamed. What the operating system refuses
becomes one line for the user, the temporary file goes away and the old file stays as it was.
"""

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from errno import EACCES, EDQUOT, EEXIST, EFBIG, EISDIR, ENOSPC, ENOTDIR, EPERM, EROFS
from pathlib import Path
from typing import Any

from ratelab.core.errors import UserError

TEMPORARY = ".tmp"

_REASONS = {
    ENOSPC: "the disk is full; free some space",
    EDQUOT: "your disk quota is used up; free some space",
    EFBIG: "the file would be larger than this system allows; raise the limit (ulimit -f)",
    EACCES: "permission denied; choose a folder you may write to",
    EPERM: "permission denied; choose a folder you may write to",
    EROFS: "the disk is read-only; choose another folder",
    EEXIST: "a file is in the way; choose another folder",
    ENOTDIR: "a file is in the way; choose another folder",
    EISDIR: "a folder is in the way; remove it",
}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an :class:`OSError` into a :class:`UserError` that names ``path``, the reason and what to do."""
    try:
        yield
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, (error.strerror or str(error)).lower())
        raise UserError(f"cannot write {path}: {reason}") from None


def make_folder(path: Path) -> None:
    """Create a folder and its parents where they are missing; :class:`UserError` where that cannot be."""
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)


def write_file(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content`` in one step that survives a kill or a loss of power."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}{TEMPORARY}")
    with writing(path):
        try:
            with open(temporary, "xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable, where the system knows how."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep_up(folder: Path) -> None:
    """Remove what killed writers left behind; only for the owner of the folder's lock."""
    for stale in folder.rglob(f".*{TEMPORARY}"):
        with suppress(OSError):
            stale.unlink()


def read_file(path: Path, advice: str) -> bytes:
    """The content of ``path``; :class:`UserError` with ``advice`` where it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path} is missing; {advice}") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON object for people and programs: indented, no NaN, no infinity."""
    write_file(path, (json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode())


def read_json(path: Path, advice: str) -> dict[str, Any]:
    """The JSON object in ``path``; :class:`UserError` with ``advice`` where it is missing, cut short or no object."""
    content = read_file(path, advice)
    try:
        document = json.loads(content.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is corrupt ({error}); {advice}") from None
    if not isinstance(document, dict):
        raise UserError(f"{path} is corrupt (no JSON object); {advice}")
    return document


def _no_number(word: str) -> None:
    raise ValueError(f"it holds {word}, which is not JSON")

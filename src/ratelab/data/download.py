"""A download that continues where an earlier one stopped (HTTP range requests)."""

import contextlib
import errno
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ratelab.core.errors import UserError

_CHUNK = 1 << 18
_TIMEOUT = 60
_ATTEMPTS = 4

Report = Callable[[int, int | None], None]
"""Told the bytes there are so far and, where the server says it, the bytes there will be."""


def download(url: str, part: Path, report: Report = lambda done, total: None) -> None:
    """Bring ``part`` to the full content of ``url``, continuing from what it already holds.

    A connection that drops is taken up again a few times; a server that ignores ranges is read from the start. Raises
    :class:`UserError` when the server cannot be reached or refuses, when it keeps dropping the connection, and when the
    file cannot be written; what arrived stays in ``part`` for the next try.
    """
    for _ in range(_ATTEMPTS):
        with _explained(url, part):
            done, total = _continue(url, part, report)
        if total is None or done >= total:
            return
    raise UserError(f"{url}: the connection dropped after {done} of {total} bytes; give the same command again to continue")


def _continue(url: str, part: Path, report: Report) -> tuple[int, int | None]:
    """One request; returns the bytes there are now and the bytes there should be (None where the server does not say)."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity", "User-Agent": "ratelab"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        if _total(error.headers.get("Content-Range")) != have:
            part.unlink()
            return 0, have
        return have, have
    with answer:
        resumed = getattr(answer, "status", None) == http.HTTPStatus.PARTIAL_CONTENT
        done = have if resumed else 0
        length = answer.headers.get("Content-Length")
        total = done + int(length) if length else None
        with part.open("ab" if resumed else "wb") as file:
            for chunk in _chunks(answer):
                file.write(chunk)
                done += len(chunk)
                report(done, total)
    return done, total


def _chunks(answer: Any) -> Iterator[bytes]:
    """What arrives until the end or until the connection drops; the caller compares lengths."""
    while True:
        try:
            chunk = answer.read(_CHUNK)
        except (http.client.IncompleteRead, ConnectionError, TimeoutError):
            return
        if not chunk:
            return
        yield chunk


def _total(content_range: str | None) -> int | None:
    """The size in a ``bytes */SIZE`` header."""
    size = (content_range or "").rpartition("/")[2]
    return int(size) if size.isdigit() else None


@contextlib.contextmanager
def _explained(url: str, part: Path) -> Iterator[None]:
    """Errors of the network and of the disk as one line."""
    try:
        yield
    except urllib.error.HTTPError as error:
        raise UserError(f"{url}: the server answers {error.code} {error.reason}; try another address with --mirror") from None
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
        why = getattr(error, "reason", None) or error or type(error).__name__
        raise UserError(f"{url}: cannot be reached ({why}); check the connection or give --mirror") from None
    except ValueError as error:
        raise UserError(f"{url}: not an address ({error}); give one that starts with https://") from None
    except OSError as error:
        raise disk_error(error, part.parent) from None


def disk_error(error: OSError, folder: Path) -> UserError:
    """The error for a folder that cannot take the file."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(f"{folder}: no space left for the download; free some and give the same command again to continue")
    return UserError(f"{folder}: cannot be written to ({error.strerror or error}); set RATELAB_DATA to a folder of yours")


@dataclass(frozen=True)
class Resuming:
    """The downloader that pooch calls: fills ``part`` and, once it is whole, moves it to where pooch checks the sum."""

    part: Path
    report: Report

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        download(url, self.part, self.report)
        self.part.replace(output_file)

"""``ratelab data fetch``: official files into the folder of data sets, resumed, verified, renamed into place."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ratelab.core.errors import UserError
from ratelab.data import DATASETS
from ratelab.data.download import Report, Resuming, disk_error
from ratelab.data.files import data_root
from ratelab.data.registry import BORROWED, BY_HAND, REMOTES, RemoteFile, how_to_get
from ratelab.data.verify import by_hand_file, check, located, verify


def fetch(name: str, folder: Path | None = None, mirror: str | None = None, progress: bool = False) -> list[Path]:
    """Get the files of data set ``name`` that are not there yet, and return all of its files.

    ``folder`` as for :func:`ratelab.data.load`; ``mirror`` replaces the official base address; ``progress`` draws a bar on
    standard error. A data set that is embedded or made on the spot has no files: the list is empty. Raises
    :class:`UserError` for a data set without an address, a server's refusal, a full disk, and for a file whose checksum
    or content is wrong (it is removed again).
    """
    DATASETS[name]
    source = BORROWED.get(name, name)
    home = data_root(folder) / source
    if source in BY_HAND:
        if any(found.status == "missing" for found in verify(source, folder)):
            raise UserError(f"data '{source}' has no address to fetch it from; {how_to_get(source, str(home))}")
        return [path for file in BY_HAND[source].files if (path := by_hand_file(source, file, home.parent))]
    if source not in REMOTES:
        return []
    base = (mirror or REMOTES[source].base).rstrip("/") + "/"
    return [_fetch_one(source, file, home, base, progress) for file in REMOTES[source].files]


def _fetch_one(name: str, official: RemoteFile, home: Path, base: str, progress: bool) -> Path:
    before = check(name, official, home)
    if before.status == "ok":
        return home / before.file
    path = home / official.name
    try:
        home.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        with _bar(official.name, progress) as report:
            _retrieve(base + official.name, official, path, report)
    except OSError as error:
        raise disk_error(error, home) from None
    after = check(name, official, home)
    if after.status != "ok":
        path.unlink(missing_ok=True)
        raise UserError(f"{after.detail.partition(';')[0]}; the file was removed: try again, or another address with --mirror")
    return path


def _retrieve(url: str, official: RemoteFile, path: Path, report: Report) -> None:
    import pooch

    pooch.get_logger().setLevel(logging.WARNING)
    part = path.with_name(path.name + ".part")
    try:
        pooch.retrieve(url, official.checksum, path.name, path.parent, downloader=Resuming(part, report))
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"{url}: its checksum is not the published {official.checksum}; the file was removed: try again, or another "
            "address with --mirror"
        ) from None


@contextmanager
def _bar(name: str, progress: bool) -> Iterator[Report]:
    if not progress:
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def available(folder: Path | None = None) -> list[dict[str, str]]:
    """All data sets, as rows ``name``, ``summary``, ``origin`` and ``status``.

    ``origin`` is ``address`` (fetched), ``by hand``, ``yours`` (a path is asked for) or ``built in``; ``status`` is ``ready``,
    ``partly``, ``missing`` or, for data of yours, empty. Only presence is looked at: content is
    :func:`ratelab.data.verify.verify`'s.
    """
    root = data_root(folder)
    return [
        {"name": name, "summary": DATASETS[name].summary, "origin": _origin(name), "status": _status(name, root)}
        for name in DATASETS
    ]


def _origin(name: str) -> str:
    source = BORROWED.get(name, name)
    if source in REMOTES or source in BY_HAND:
        return "address" if source in REMOTES else "by hand"
    return "yours" if "path" in DATASETS[name].schema.model_fields else "built in"


def _status(name: str, root: Path) -> str:
    source, origin = BORROWED.get(name, name), _origin(name)
    if origin == "built in":
        return "ready"
    if origin == "yours":
        return ""
    if origin == "by hand":
        there = [by_hand_file(source, file, root) for file in BY_HAND[source].files]
    else:
        remote = REMOTES[source]
        there = [located(file.name, root / source) for file in remote.files]
        if not all(there) and remote.parts:
            there = [located(file.name, root / source) for file in remote.parts]
    return "ready" if all(there) else "partly" if any(there) else "missing"

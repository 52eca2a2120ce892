"""Progress of long work on standard error: a bar on a terminal, plain lines everywhere else."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

from ratelab.cli.terminal import PlainConsole, on_terminal, say

SECONDS_BETWEEN_LINES = 5.0


class Report(Protocol):
    """Told how much is done; ``note`` says what the numbers are now."""

    def __call__(self, done: int, note: str = "") -> None: ...


@contextmanager
def progress(title: str, total: int, unit: str) -> Iterator[Report]:
    """Yields what to call as the work proceeds from 0 to ``total`` units.

    Without a terminal a line is printed every few seconds and at the end.
    """
    if not on_terminal():
        yield _Lines(title, total, unit)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(f"{unit}  {{task.fields[note]}}"),
    )
    with Progress(*columns, TimeRemainingColumn(), console=PlainConsole(sys.stderr)) as bar:
        task = bar.add_task(title, total=total, note="")

        def report(done: int, note: str = "") -> None:
            bar.update(task, completed=done, note=note)

        yield report


class _Lines:
    """Plain lines, not more often than every few seconds."""

    def __init__(self, title: str, total: int, unit: str) -> None:
        self.title, self.total, self.unit = title, total, unit
        self.last = time.monotonic()

    def __call__(self, done: int, note: str = "") -> None:
        now = time.monotonic()
        if done < self.total and now - self.last < SECONDS_BETWEEN_LINES:
            return
        self.last = now
        say(f"{self.title}: {done}/{self.total} {self.unit}{'  ' + note if note else ''}")


@contextmanager
def drawing(what: str) -> Iterator[None]:
    """Progress of what is drawn inside pixel after pixel; nothing for models that draw all pixels at once.

    Every pass over an image's rows starts anew: reconstructions take several, thousands of samples too.
    """
    from ratelab.core.sequence import watched

    with ExitStack() as until_done:
        report: Report | None = None
        passes = 1

        def on_row(done: int, total: int) -> None:
            nonlocal report, passes
            if report is None:
                report = until_done.enter_context(progress(what, total, "rows of pixels"))
            if done < total or on_terminal():
                report(done, f"pass {passes}")
            passes += done == total

        with watched(on_row):
            yield


class RunLines(Protocol):
    """Prints one line for each run that ends; ``done`` runs have ended so far."""

    def __call__(self, done: int, line: str) -> None: ...


@contextmanager
def finished_runs(total: int) -> Iterator[RunLines]:
    """For sweeps: one line per finished run, on a terminal above a bar."""
    if not on_terminal():
        yield lambda done, line: say(line)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("sweep"), BarColumn(), MofNCompleteColumn(), TextColumn("runs"), TimeRemainingColumn())
    with Progress(*columns, console=PlainConsole(sys.stderr)) as bar:
        task = bar.add_task("sweep", total=total)

        def show(done: int, line: str) -> None:
            bar.console.print(line)
            bar.update(task, completed=done)

        yield show

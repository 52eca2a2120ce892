"""What goes where: answers to standard output, messages to standard error; under ``--json`` one document and nothing else."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any, TextIO

from rich.console import Console

from ratelab.core.errors import UserError

PIPED_WIDTH = 160  # columns where no terminal says how many there are

_answers: list[TextIO] = []


@contextmanager
def answering(as_json: bool) -> Iterator[None]:
    """Keep standard output for the answer.

    Under ``--json`` whatever else is printed while a command runs, by this process, its libraries or its workers, goes to
    standard error. A full disk behind standard output is a :class:`UserError`; a closed pipe stays a ``BrokenPipeError``.
    """
    out = sys.stdout
    with _kept(out) if as_json else _plain(out):
        try:
            yield
            _answers[-1].flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise UserError(f"cannot write to standard output or a file: {(error.strerror or str(error)).lower()}") from None


@contextmanager
def _plain(out: TextIO) -> Iterator[None]:
    _answers.append(out)
    try:
        yield
    finally:
        _answers.pop()


@contextmanager
def _kept(out: TextIO) -> Iterator[None]:
    if not _is_descriptor(out, 1):
        with _plain(out), redirect_stdout(sys.stderr):
            yield
        return
    out.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    answer = os.fdopen(os.dup(kept), "w", encoding="utf-8")
    try:
        with _plain(answer), redirect_stdout(sys.stderr):
            yield
    finally:
        with suppress(OSError):  # flushed by now; what a full disk refused then, it refuses again
            answer.close()
        os.dup2(kept, 1)
        os.close(kept)


def _is_descriptor(stream: TextIO, number: int) -> bool:
    try:
        return stream.fileno() == number
    except (OSError, ValueError):
        return False


def answer(document: Mapping[str, Any], as_json: bool, text: Callable[[Console], None]) -> None:
    """Print the answer: ``document`` as JSON, or what ``text`` prints for people."""
    if as_json:
        print_json(document)
    else:
        text(answers())


def print_json(document: Mapping[str, Any]) -> None:
    """The one JSON document of a command's answer."""
    _answers[-1].write(json.dumps(document, allow_nan=False, ensure_ascii=False, indent=2) + "\n")


def answers() -> Console:
    """A console on what is standard output for the answer."""
    return PlainConsole(_answers[-1])


def say(message: str) -> None:
    """One line to standard error, as it is; long work goes on when nobody can read it any more."""
    with suppress(OSError):
        print(message, file=sys.stderr, flush=True)


def say_stopping() -> None:
    """The answer to the first Ctrl-C: work goes on until its state can be saved."""
    say("stopping after the current epoch; the same command goes on where this one stopped")


class PlainConsole(Console):
    """A rich console that takes text literally, does not fold what is piped, and leaves a closed pipe to its caller."""

    def __init__(self, stream: TextIO) -> None:
        width = None if stream.isatty() else PIPED_WIDTH
        super().__init__(file=stream, width=width, markup=False, highlight=False, emoji=False)

    def on_broken_pipe(self) -> None:
        raise


def on_terminal() -> bool:
    """Whether messages are read on a terminal (a bar is drawn) or kept in a file (plain lines)."""
    return sys.stderr.isatty()

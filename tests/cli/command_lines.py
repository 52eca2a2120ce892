"""Command lines as tests type them, what they answer, and a recipe that trains in a blink."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TINY = """
title: tiny
data: {name: digits, limit: 200}
model:
  name: hierarchy
  latent_dim: [2, 3]
  encoder: {name: gaussian, network: {name: mlp, hidden: [16]}, joint: [8]}
  decoder: {name: bernoulli, network: {name: mlp, hidden: [16]}}
objective: {name: beta, beta: 0.5}
training: {epochs: 3, batch_size: 50}
"""


@dataclass(frozen=True)
class Outcome:
    """What a command line did: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The one document on standard output."""
        assert self.code == 0, self.err
        return json.loads(self.out, parse_constant=pytest.fail)

    def line(self) -> str:
        """The one line of a user's mistake, without its ``ratelab: ``."""
        assert self.code == 2, (self.out, self.err)
        assert self.out == ""
        assert self.err.startswith("ratelab: ")
        assert self.err.count("\n") == 1, self.err
        return self.err.removeprefix("ratelab: ").rstrip("\n")


Cli = Callable[..., Outcome]


def spawn(*words: str | Path, **options: Any) -> subprocess.Popen[str]:
    """A command line in a process of its own; its output is piped."""
    command = [sys.executable, "-m", "ratelab", *map(str, words)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, **{**pipes, **options})


def finish(process: subprocess.Popen[str], timeout: float = 90) -> Outcome:
    """Wait for :func:`spawn` and collect what it said."""
    out, err = process.communicate(timeout=timeout)
    return Outcome(process.returncode, out or "", err)

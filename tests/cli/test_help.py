"""What a person reads before typing anything, and how fast it is there."""

import resource
import statistics
import subprocess
import sys

import pytest
from command_lines import Cli

COMMANDS = [
    "demo",
    "train",
    "sweep",
    "evaluate",
    "frontier",
    "report",
    "figure",
    "sample",
    "reconstruct",
    "interpolate",
    "encode",
    "compress",
    "decompress",
    "data",
    "list",
    "cite",
]
HEAVY = {"torch", "sklearn", "scipy", "matplotlib", "plotly", "pydantic", "numpy"}


def test_help_lists_every_command_with_a_summary(cli: Cli) -> None:
    text = cli("--help").out
    for name in COMMANDS:
        line = next(line for line in text.splitlines() if line.startswith(f"│ {name} "))
        assert len(line.strip("│ ").removeprefix(name).split()) >= 3, line


@pytest.mark.parametrize("words", [[name] for name in COMMANDS] + [["data", sub] for sub in ("list", "fetch", "verify")])
def test_each_command_explains_itself_with_an_example_and_all_its_options(cli: Cli, words: list[str]) -> None:
    outcome = cli(*words, "--help")
    assert outcome.code == 0
    assert "For example:" in outcome.out
    assert f"  ratelab {' '.join(words)}" in outcome.out
    assert "--json" in outcome.out


def test_version_and_no_command_at_all(cli: Cli) -> None:
    assert cli("--version").out.startswith("ratelab 0.")
    assert cli().out == cli("--help").out


@pytest.mark.parametrize("words", [["--help"], ["sweep", "--help"], ["--version"], ["trian"]])
def test_asking_for_help_loads_nothing_heavy(words: list[str]) -> None:
    script = f"import sys\nfrom ratelab.cli import main\nmain({words!r})\nprint('LOADED', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stdout.rpartition("LOADED")[2].split())
    assert not loaded & HEAVY


def test_help_is_fast(capsys: pytest.CaptureFixture[str]) -> None:
    """In the time of its own that it takes, whatever else the machine does."""
    times = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "ratelab", "--help"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    with capsys.disabled():
        print(f"\nratelab --help: median {statistics.median(times):.2f} s, fastest {min(times):.2f} s")
    assert min(times) < 1.0

"""Fixtures of command lines: a working directory, a way to run them in this process, a store with trained runs."""

import shutil
from pathlib import Path

import pytest
from command_lines import TINY, Cli, Outcome

from ratelab.cli import main


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with ``tiny.yaml`` in it."""
    (tmp_path / "tiny.yaml").write_text(TINY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RATELAB_DATA", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
def cli(place: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command line in this process, inside :func:`place`."""

    def run(*words: str | Path) -> Outcome:
        capsys.readouterr()
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return Outcome(code, said.out, said.err)

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of two finished runs of ``tiny.yaml``, beta 0.5 and 4. Not to be changed: copy it (:func:`store`)."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "tiny.yaml").write_text(TINY)
    for beta in ("0.5", "4"):
        assert main(["train", str(folder / "tiny.yaml"), f"objective.beta={beta}", "--store", str(folder / "runs")]) == 0
    return folder / "runs"


@pytest.fixture
def store(trained: Path, place: Path) -> Path:
    """A copy of the trained store as ``runs``, where commands look by default."""
    return Path(shutil.copytree(trained, place / "runs"))


@pytest.fixture
def run_id(store: Path) -> str:
    """The id of one of the runs in :func:`store`."""
    return min(folder.name for folder in store.iterdir() if folder.is_dir())

"""Standard output is for the answer alone; interruptions, closed pipes and terminals are dealt with quietly."""

import io
import json
import os
import pty
import select
import signal
import sys
import time
from pathlib import Path

import pytest
import torch
from command_lines import Cli, finish, spawn

from ratelab.cli import app, progress, terminal
from ratelab.core.batch import LiveNoise
from ratelab.distributions.autoregressive import Autoregressive
from ratelab.distributions.bernoulli import Bernoulli
from ratelab.networks.gated_pixelcnn import GatedPixelCnn

NOISY = """
import os, torch
print("imported noisily")
os.write(1, b"straight to the descriptor\\n")

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(64, 4)

    def forward(self, x):
        os.system("echo a child process")
        return self.layer(x.flatten(1))
"""


STOPPING = "stopping after the current epoch; the same command goes on where this one stopped\n"


def wait_for_epochs(store: Path, epochs: int) -> Path:
    """Wait until a run of the store has logged so many epochs."""
    for _ in range(600):
        for log in store.glob("*/log.jsonl"):
            if len(log.read_text().splitlines()) >= epochs:
                return log.parent
        time.sleep(0.1)
    raise AssertionError("no run got that far")


def test_json_is_all_there_is_on_standard_output_whatever_else_prints(place: Path) -> None:
    (place / "noisy_net.py").write_text(NOISY)
    custom = "model.encoder.network={name: custom, code: 'noisy_net:Net'}"
    words = ["tiny.yaml", custom, "data.limit=50", "training.epochs=1", "--allow-code", "--json"]
    outcome = finish(spawn("sweep", *words, cwd=place))
    assert outcome.json()["runs"][0]["status"] == "done"
    for noise in ("imported noisily", "straight to the descriptor", "a child process"):
        assert noise in outcome.err


def test_ctrl_c_saves_the_state_and_the_same_command_goes_on(place: Path) -> None:
    words = ["train", "tiny.yaml", "training.epochs=100000", "--json"]
    process = spawn(*words, cwd=place)
    folder = wait_for_epochs(place / "runs", 2)
    process.send_signal(signal.SIGINT)
    outcome = finish(process)
    assert (outcome.code, outcome.out) == (130, "")
    assert STOPPING in outcome.err
    assert outcome.err.splitlines()[-1].startswith("ratelab: interrupted; what was finished is saved")
    assert "Traceback" not in outcome.err
    assert (folder / "checkpoint.safetensors").is_file()
    done = len((folder / "log.jsonl").read_text().splitlines())
    process = spawn(*words, cwd=place)
    wait_for_epochs(place / "runs", done + 2)
    process.send_signal(signal.SIGINT)
    assert finish(process).code == 130
    epochs = [json.loads(line)["epoch"] for line in (folder / "log.jsonl").read_text().splitlines()]
    assert epochs == list(range(1, len(epochs) + 1))
    assert len(epochs) >= done + 2


@pytest.mark.slow
def test_ctrl_c_stops_a_sweep_with_its_workers(place: Path) -> None:
    process = spawn(
        "sweep", "tiny.yaml", "seed=0,1", "training.epochs=100000", "--workers", "2", cwd=place, start_new_session=True
    )
    folder = wait_for_epochs(place / "runs", 2)
    os.killpg(process.pid, signal.SIGINT)
    assert process.stderr is not None
    said = next(line for line in process.stderr if not line.startswith("2 run(s)"))
    assert (said, process.poll()) == (STOPPING, None), "it is said at once, and not at the end"
    outcome = finish(process)
    assert (outcome.code, outcome.out) == (130, "")
    assert "Traceback" not in outcome.err
    assert (folder / "checkpoint.safetensors").is_file()


def test_a_reader_that_goes_away_is_no_error(place: Path) -> None:
    process = spawn("list", cwd=place)
    assert process.stdout is not None
    process.stdout.close()
    process.wait(60)
    assert process.stderr is not None
    assert (process.returncode, process.stderr.read()) == (0, "")


class Gone(io.StringIO):
    """A stream whose reader went away."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_messages_nobody_reads_do_not_stop_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", Gone())
        terminal.say("is anybody there?")


def test_on_a_terminal_a_bar_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with open(theirs, "w") as screen:
        monkeypatch.setattr(sys, "stderr", screen)
        with progress.progress("run", 3, "epochs") as report:
            report(3, "R 1.0")
        with progress.finished_runs(2) as show:
            show(1, "[1/2] one run [is] done")
        monkeypatch.undo()
        drawn = os.read(ours, 100_000).decode()
    assert "━" in drawn
    assert "3/3" in drawn
    assert "[1/2] one run [is] done" in drawn


def test_without_a_terminal_lines_come_every_few_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 1.0, 6.0, 7.0, 8.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    with progress.progress("run", 4, "epochs") as report:
        for done in (1, 2, 3, 4):
            report(done, f"R {done}")
    assert capsys.readouterr().err == "run: 2/4 epochs  R 2\nrun: 4/4 epochs  R 4\n"


def pixel_by_pixel(rows: int = 3) -> None:
    """Draw from an autoregressive law, as ``ratelab sample`` does deep inside."""
    torch.manual_seed(0)
    network = GatedPixelCnn(1, 1, features=2, layers=0)
    law = Autoregressive(network, None, (1, rows, 2), lambda p: Bernoulli(p, event_axes=3))
    law.draw(LiveNoise(0), 2)


def test_drawing_pixel_after_pixel_shows_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with open(theirs, "w") as screen:
        monkeypatch.setattr(sys, "stderr", screen)
        with progress.drawing("samples"):
            pixel_by_pixel()
            pixel_by_pixel()
        monkeypatch.undo()
        drawn = ""
        while select.select([ours], [], [], 0.5)[0]:  # a terminal hands over what was written in several pieces
            drawn += os.read(ours, 100_000).decode()
    assert "samples" in drawn
    assert "3/3" in drawn
    assert "pass 2" in drawn
    pixel_by_pixel()  # nobody watches: nothing is said


def test_drawing_pixel_after_pixel_says_a_line_every_few_seconds_in_a_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 1.0, 6.0, 7.0, 8.0, 9.0, 10.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    with progress.drawing("samples"):
        pixel_by_pixel()
    assert capsys.readouterr().err == "samples: 2/3 rows of pixels  pass 1\n"


def test_models_that_draw_all_pixels_at_once_show_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.drawing("samples"):
        Bernoulli(torch.zeros(1, 2, 2), event_axes=3).draw(LiveNoise(0))
    assert capsys.readouterr().err == ""


def test_a_bug_still_shows_its_traceback(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(app.COMMANDS, "cite", broken)
    with pytest.raises(ZeroDivisionError):
        cli("cite")


def test_python_m_ratelab_is_ratelab(place: Path) -> None:
    outcome = finish(spawn("--version", cwd=place))
    assert outcome.out.startswith("ratelab 0.")
    assert finish(spawn("trian", cwd=place)).line()

"""The application: which commands there are, and what becomes of errors, interruptions and closed pipes.

The commands' files load torch and the other rooms inside functions only, so that ``ratelab --help`` stays fast.
"""

import os
import sys
from collections.abc import Callable, Sequence

from cyclopts import App, CycloptsError

from ratelab import __version__
from ratelab.cli.bits import compress_command, decompress_command
from ratelab.cli.cite import cite_command
from ratelab.cli.data import app as data_app
from ratelab.cli.demo import demo_command
from ratelab.cli.encode import encode_command
from ratelab.cli.evaluate import evaluate_command
from ratelab.cli.figure import figure_command
from ratelab.cli.frontier import frontier_command
from ratelab.cli.interpolate import interpolate_command
from ratelab.cli.list import list_command
from ratelab.cli.mistakes import one_line
from ratelab.cli.reconstruct import reconstruct_command
from ratelab.cli.report import report_command
from ratelab.cli.sample import sample_command
from ratelab.cli.sweep import sweep_command
from ratelab.cli.terminal import answering, say
from ratelab.cli.train import train_command
from ratelab.core.errors import UserError

ABOUT = """RateLab trains latent-variable models, measures what their latents carry, and puts every model on one \
rate-distortion plane (nats, held-out data, standard errors).

Start with:  ratelab demo
Then:        ratelab train digits/vae objective.beta=0.5
             ratelab COMMAND --help

Long work can be stopped with Ctrl-C and continued by giving the same command again."""

# In the order in which a person meets them.
COMMANDS: dict[str, Callable[..., int | None]] = {
    "demo": demo_command,
    "train": train_command,
    "sweep": sweep_command,
    "evaluate": evaluate_command,
    "frontier": frontier_command,
    "report": report_command,
    "figure": figure_command,
    "sample": sample_command,
    "reconstruct": reconstruct_command,
    "interpolate": interpolate_command,
    "encode": encode_command,
    "compress": compress_command,
    "decompress": decompress_command,
    "list": list_command,
    "cite": cite_command,
}

EXIT_MISTAKE, EXIT_INTERRUPTED = 2, 130


def build() -> App:
    """The application with all its commands, none of them loaded."""
    app = App(
        name="ratelab",
        help=ABOUT,
        help_format="plaintext",
        version=f"ratelab {__version__}",
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    for position, (name, command) in enumerate(COMMANDS.items()):
        app.command(command, name=name, sort_key=position)
    app.command(data_app)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: the process's) and return its exit code.

    0; 1 where a run failed; 2 for a mistake; 130 when interrupted.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with answering("--json" in given):
            code = build()(given, exit_on_error=False, print_error=False)
        return code if isinstance(code, int) else 0
    except CycloptsError as error:
        say(f"ratelab: {one_line(error)}")
    except UserError as error:
        say(f"ratelab: {' '.join(str(error).split())}")
    except KeyboardInterrupt:
        say("ratelab: interrupted; what was finished is saved, give the same command again to continue")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _close_quietly()
        return 0
    return EXIT_MISTAKE


def _close_quietly() -> None:
    """The reader has gone (``ratelab list | head``): nothing is left to say, not even when Python flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

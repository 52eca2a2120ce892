"""``ratelab train``: one run.

Exits with 0 when the run was made, also when it diverged (that is a result), and with 1 when it failed: an error that is no
mistake in the recipe. The run then says why, as it would in a sweep.
"""

import time
from collections.abc import Mapping
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from ratelab.cli.options import DEFAULT_STORE, AllowCode, AsJson, Device, StoreDir, circumstances
from ratelab.cli.progress import progress
from ratelab.cli.terminal import answer, say, say_stopping
from ratelab.cli.wording import plain
from ratelab.core.errors import UserError

RecipeName = Annotated[str, Parameter(help="A YAML file, or the name of a shipped recipe (see 'ratelab list recipes').")]


def train_command(
    recipe: RecipeName,
    /,
    *changes: Annotated[str, Parameter(help="Keys of the recipe to change, as key=value.")],
    store: StoreDir = DEFAULT_STORE,
    device: Device = "auto",
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> int:
    """Train one model from a recipe and measure it.

    For example:

      ratelab train digits/vae objective.beta=0.5 training.epochs=50

    The run lands in the store, in a folder named by the hash of its recipe and
    its data: the same command finds a finished run at once and continues an
    interrupted one. Rates and distortion are in nats per example, on the test
    split.

    Exits with code 1 when the run failed. A run that diverged is a result, not a
    failure.
    """
    from ratelab.core.target import off_target
    from ratelab.runs import execute, read_recipe, single
    from ratelab.runs.execute import Run, fail, reason
    from ratelab.runs.interrupt import announced
    from ratelab.store import Store

    chosen = single(read_recipe(recipe), changes)
    under = circumstances(device, allow_code)
    home = Store.create(store)
    started = time.monotonic()
    trained = False
    with progress(chosen.title or recipe, chosen.training.epochs, "epochs") as report, announced(say_stopping):

        def on_row(row: Mapping[str, Any]) -> None:
            nonlocal trained
            trained = True
            here = f"R {plain(row['train/rate'], 1)} D {plain(row['train/distortion'], 1)} nats (training)"
            report(row["epoch"], here + off_target(row))

        try:
            results = execute(chosen, home, under, on_row=on_row)
        except UserError:
            raise
        except Exception as error:
            results = fail(chosen, home, Run(chosen, home, under).folder.id, reason(error))
    if results["status"] == "failed":
        say(f"run {results['run']} failed: {results['why']}")
        answer(results, as_json, lambda out: None)
        return 1
    how_long = f"trained and measured in {time.monotonic() - started:.1f} s" if trained else "was finished already"
    say(f"run {results['run']} {how_long}: {home.path / results['run']}")
    answer(results, as_json, lambda out: _print(results, out))
    return 0


def _print(results: Mapping[str, Any], out: Console) -> None:
    from ratelab.cli.tables import print_estimates

    if results["status"] != "done" or "why" in results:
        out.print(f"{results['status']}: {results.get('why', '')}")
    print_estimates(results, out)

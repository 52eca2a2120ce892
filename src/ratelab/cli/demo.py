"""``ratelab demo``: the main job, on real data that needs no download."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from ratelab.cli.options import AsJson, Device, Together, Workers, circumstances, stack_size
from ratelab.cli.sweep import document, exit_code, print_planes, run_all
from ratelab.cli.terminal import answer, say

RECIPE = "digits/demo"


def demo_command(
    *,
    workers: Workers = None,
    together: Together = "auto",
    store: Annotated[Path, Parameter(name="--store", help="Folder for the runs, report.html and its figures.")] = Path(
        "ratelab-demo"
    ),
    device: Device = "auto",
    as_json: AsJson = False,
) -> int:
    """Sweep beta on embedded real data; draw the frontier and a report. Start here.

    For example:

      ratelab demo --workers 4

    Trains two families of models (a VAE and a two-layer hierarchy) on 8x8
    handwritten digits, from a small beta (much information in the latents) to a
    large one (none), and puts all of them on one rate-distortion plane. Takes
    minutes on a laptop; started again, it only draws the report anew.
    """
    from ratelab.report import write_report
    from ratelab.runs import expand, read_recipe
    from ratelab.store import Store

    size = stack_size(together)
    results = run_all(expand(read_recipe(RECIPE)), Store.create(store), circumstances(device, False), workers, size)
    files = [str(path) for path in write_report(store, store / "report.html")]

    def text(out: Console) -> None:
        print_planes(store, results, out)
        out.print(f"report: {files[0]}")

    say(f"wrote {files[0]} and {len(files) - 1} figure files")
    answer({**document(store, results), "report": files[0], "files": files}, as_json, text)
    return exit_code(results)

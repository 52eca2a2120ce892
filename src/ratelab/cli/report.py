"""``ratelab report``: the page."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ratelab.cli.frontier import StoreFolder
from ratelab.cli.options import DEFAULT_STORE, AsJson
from ratelab.cli.terminal import answer


def report_command(
    store: StoreFolder = DEFAULT_STORE,
    *,
    output: Annotated[
        Path, Parameter(name=["--output", "-o"], help="The page to write; its figures land in a folder beside it.")
    ] = Path("report.html"),
    as_json: AsJson = False,
) -> None:
    """Write the report page of a store.

    For example:

      ratelab report runs -o report.html

    One self-contained HTML file that needs no network: the rate-distortion plane,
    the frontier, the best model per task with pictures, and every run's numbers.
    The figures are also written as .svg and .png files.
    """
    from ratelab.cli.arrays import check_output
    from ratelab.report import write_report

    check_output(output, ".html", ".htm")
    files = [str(path) for path in write_report(store, output)]
    answer({"schema": 1, "store": str(store), "report": files[0], "files": files}, as_json, lambda out: out.print(files[0]))

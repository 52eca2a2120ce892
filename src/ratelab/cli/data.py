"""``ratelab data``: what data there is, getting it, checking it."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from ratelab.cli.options import AsJson
from ratelab.cli.terminal import answer, on_terminal, say
from ratelab.core.errors import UserError

LAST = 100  # behind the commands that work on runs
app = App(name="data", help_format="plaintext", sort_key=LAST)

Name = Annotated[str, Parameter(help="A data set's name (see 'ratelab data list').")]
Folder = Annotated[
    Path | None,
    Parameter(help="Folder of data sets, one sub-folder each; by default $RATELAB_DATA, else the user's cache."),
]


@app.default
def data_command(*, folder: Folder = None, as_json: AsJson = False) -> None:
    """List, fetch and verify data sets.

    For example:

      ratelab data fetch mnist

    Without a sub-command it lists them.
    """
    list_command(folder=folder, as_json=as_json)


@app.command(name="list")
def list_command(*, folder: Folder = None, as_json: AsJson = False) -> None:
    """All data sets, where they come from, and whether their files are here.

    For example:

      ratelab data list --folder ~/data
    """
    from ratelab.data.fetch import available
    from ratelab.data.files import data_root

    rows = available(folder)
    document = {"schema": 1, "folder": str(data_root(folder)), "datasets": rows}

    from ratelab.cli.tables import table

    made = table("data set", "files", "from", "what it is")
    for row in rows:
        made.add_row(row["name"], row["status"], row["origin"], row["summary"])
    answer(document, as_json, lambda out: out.print(f"folder: {document['folder']}", made))


@app.command
def fetch(
    name: Name,
    /,
    *,
    folder: Folder = None,
    mirror: Annotated[str | None, Parameter(help="Another address of the same files, in place of the official one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Download the official files of a data set.

    For example:

      ratelab data fetch static-mnist

    Files that are there already are left alone, an interrupted download
    continues, and every file is verified.
    """
    from ratelab.data.fetch import fetch as fetch_files

    files = [str(path) for path in fetch_files(name, folder, mirror, progress=on_terminal())]
    if not files:
        say(f"'{name}' needs no files: it is built in, or made from a path of yours")
    answer(
        {"schema": 1, "name": name, "files": files},
        as_json,
        lambda out: out.print("\n".join(files), soft_wrap=True, end="\n" if files else ""),
    )


@app.command
def verify(name: Name, /, *, folder: Folder = None, as_json: AsJson = False) -> None:
    """Check the files of a data set against their published checksums, or by their content.

    For example:

      ratelab data verify mnist

    Exits with code 2 when a file is missing or damaged.
    """
    from ratelab.cli.tables import table
    from ratelab.data.verify import verify as verify_files

    found = verify_files(name, folder)
    wrong = [f"{checked.file} ({checked.detail or checked.status})" for checked in found if checked.status != "ok"]
    if wrong:
        raise UserError(f"data '{name}': {len(wrong)} of {len(found)} files are not right: {', '.join(wrong)}")
    made = table("file", "status", "checked by")
    for checked in found:
        made.add_row(checked.file, checked.status, checked.detail)
    answer({"schema": 1, "name": name, "files": [vars(checked) for checked in found]}, as_json, lambda out: out.print(made))

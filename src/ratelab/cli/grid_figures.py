"""The figures of Xiao and Bamler 2023 that ``ratelab figure`` draws of grids, and their Table 1."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratelab.cli.grids import GENERATION, KINDS, Grid, grids
from ratelab.cli.options import find_run
from ratelab.cli.wording import measured, plain
from ratelab.core.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Console
    from rich.table import Table

    from ratelab.analysis.choice import Task
    from ratelab.analysis.point import Point

Records = list[dict[str, Any]]
Shown = tuple[Grid, "list[Task]"]
"""A grid, and the scores of it that a figure shows."""
READERS = tuple(f"accuracy_{kind}" for kind in ("rbf_svm", "knn", "linear_svm", "logistic"))
DEFAULT = "psnr"


def grid_figure(name: str, store: Path, data: str | None, score: str | None) -> tuple["Figure", list[Shown]]:
    """A figure with one block for each grid, and the scores of each that it shows."""
    from ratelab.report import grid_figures as drawn

    draw = {
        "grid": drawn.overview_figure,
        "rates": drawn.rates_figure,
        "hull": drawn.hull_figure,
        "generation": drawn.generation_figure,
        "labels": drawn.labels_figure,
    }[name]
    found = [(grid, grid.tasks(wanted(name, grid, score))) for grid in grids(store, data)]
    return draw([(grid.land, tasks) for grid, tasks in found]), found


def print_best(found: Sequence[Shown], out: "Console") -> None:
    """The best run for every score of every grid, chosen on the validation split, with its score on the test split; and who judged."""
    from ratelab.analysis.choice import prices
    from ratelab.analysis.helped import JUDGED, judges
    from ratelab.cli.tables import table

    made = table("grid", "score", "best>", "run", "beta_2, beta_1>", "R_2, R_1 (nats)>")
    for grid, tasks in found:
        for task in tasks:
            betas = ", ".join(f"{b:.3g}" for b in prices(task.best) or ())
            rates = ", ".join(plain(rate.value) for rate in task.best.rates)
            best = measured(task.values[task.best.run], 3)
            made.add_row(grid.title, task.name, best, task.best.run, betas, rates)
    out.print(made)
    for grid, tasks in found:
        judged = [task.name for task in tasks if task.name in JUDGED]
        by = judges((point.record for point in grid.land.points), judged)
        if by:
            out.print(f"{grid.title}: {', '.join(judged)}: {by}")


def wanted(name: str, grid: Grid, score: str | None) -> Sequence[str]:
    """The scores that a figure shows of a grid."""
    if name == "grid":
        return DEFAULT, grid.one_of(READERS), GENERATION[0]
    if name == "generation":
        return GENERATION
    if name == "labels":
        return "label_information", *(f"accuracy_{kind}" for kind in KINDS)
    return (score or DEFAULT,)


def marked_figure(runs: Sequence[str], store: Path, data: str | None) -> tuple["Figure", Records]:
    """Samples and reconstructions of ``runs``; of those of each grid that are best to reconstruct, to tell labels by, and to generate."""
    from ratelab.report.marked_figure import marked_figure as draw
    from ratelab.report.marked_figure import missing_pictures

    found = [(grid, _named(grid, runs, store) if runs else _best(grid)) for grid in grids(store, data)]
    blocks = {grid.title: marked for grid, marked in found if marked}
    if not blocks:
        raise UserError("these runs belong to no grid of the store; leave them out to show the best of each")
    lacking = missing_pictures([point for marked in blocks.values() for point in marked.values()])
    if lacking:
        raise UserError(f"run {lacking[0]} has no pictures: its data are no images, or its folder lost them")
    return draw(blocks), [grid.record(point, grid.land.tasks) for grid, marked in found for point in marked.values()]


def _best(grid: Grid) -> dict[str, "Point"]:
    from ratelab.report.panels import title

    tasks = grid.tasks([DEFAULT, grid.one_of(READERS), GENERATION[0]])
    return {f"best {title(task.name)}: {task.values[task.best.run].value:.3g}": task.best for task in tasks}


def _named(grid: Grid, runs: Sequence[str], store: Path) -> dict[str, "Point"]:
    ids = [find_run(run, store).id for run in runs]
    return {f"run {point.run}": point for run in ids for point in grid.land.points if point.run == run}


def accuracies(store: Path, data: str | None) -> tuple[list[tuple[str, ...]], Records]:
    """Rows of Table 1, the headings first: the best run of each grid for each layer and classifier, chosen on the validation split,
    with its accuracy on the test split; and these runs."""
    from ratelab.report.panels import title

    heads = [title(f"accuracy_{kind}").removeprefix("accuracy, ") for kind in KINDS]
    rows: list[tuple[str, ...]] = [("data (latent)", *heads)]
    records: Records = []
    found = grids(store, data)
    for grid in found:
        name = grid.title if [g.data for g in found].count(grid.data) > 1 else grid.data
        for layer in (2, 1):
            tasks = grid.tasks([f"accuracy_{kind}, layer {layer}" for kind in KINDS])
            rows.append((f"{name} (z_{layer})", *(_cell(task) for task in tasks)))
            records += [grid.record(task.best, [task]) for task in tasks]
    return rows, records


def accuracies_table(rows: Sequence[Sequence[str]]) -> "Table":
    """These rows for a terminal."""
    from ratelab.cli.tables import table

    made = table(*rows[0], title="best accuracy on the test split (beta_2, beta_1), chosen on the validation split")
    for row in rows[1:]:
        made.add_row(*row)
    return made


def _cell(task: "Task") -> str:
    from ratelab.analysis.choice import prices

    found, betas = task.values[task.best.run], prices(task.best) or ()
    return f"{100 * found.value:.2f} ± {100 * found.stderr:.2f} % ({', '.join(f'{b:.3g}' for b in betas)})"


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows, the headings first, as a table.

    >>> print(markdown([("a", "b"), ("1", "2")]), end="")
    | a | b |
    | --- | --- |
    | 1 | 2 |
    """
    lines = [list(rows[0]), ["---"] * len(rows[0]), *map(list, rows[1:])]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)

"""``ratelab figure``: one figure of a paper, drawn from stored runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from ratelab.cli.options import DEFAULT_STORE, AsJson, StoreDir, find_run
from ratelab.cli.terminal import answer
from ratelab.core.errors import UserError, nearest

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from ratelab.exact.tables import FiniteTables

SUFFIXES = (".svg", ".png")
NUMBERS = {
    "rate": "R",
    "distortion": "D",
    "excess": "D + R - H",
    "useless": "R - I_e, useless rate",
    "divergence": "KL(p*(x) || g(x))",
    "two_clusters": "share of I_e in two clusters",
    "class_0": "mass of the codes of class 0",
    "overlap": "TV(e(z|class 0), e(z|class 1))",
    "e": "E <= I_d",
    "generative_information": "I_d",
    "g": "G >= I_d",
}


@dataclass(frozen=True)
class Drawn:
    """A figure, and what is known of the runs in it."""

    figure: "Figure"
    runs: Sequence[Mapping[str, Any]] = ()


def figure_command(
    name: Annotated[str, Parameter(help="phase (Alemi et al. 2018, Fig. 1), toy (Fig. 2), or toy-plane.")],
    /,
    *runs: Annotated[str, Parameter(help="Runs to draw: folders, or starts of ids; by default those of the store that fit.")],
    store: StoreDir = DEFAULT_STORE,
    output: Annotated[
        Path | None, Parameter(name=["--output", "-o"], help="File to write, .svg or .png; by default NAME.svg.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Draw a figure of a paper from stored runs.

    For example:

      ratelab sweep alemi2018/toy
      ratelab figure toy -o toy.svg

    phase: the phase diagram of the rate-distortion plane; it needs no run.
    toy: the hand-made optimum and one run of each kind of toy model, with their
    laws and tables. toy-plane: all runs of toy models beside the exact
    rate-distortion curves. The last two also print what each run is worth, in nats,
    by exact sums over the law of the data.
    """
    from ratelab.cli.arrays import check_output
    from ratelab.report.look import to_png, to_svg
    from ratelab.store.files import write_file

    if name not in FIGURES:
        raise UserError(f"unknown figure '{name}'{nearest(name, FIGURES)}")
    path = Path(f"{name}.svg") if output is None else output
    check_output(path, *SUFFIXES)
    drawn = FIGURES[name](runs, store)
    write_file(path, to_svg(drawn.figure).encode() if path.suffix == ".svg" else to_png(drawn.figure))
    answer({"schema": 1, "figure": str(path), "runs": list(drawn.runs)}, as_json, lambda out: _print(path, drawn.runs, out))


def _phase(runs: Sequence[str], store: Path) -> Drawn:
    from ratelab.report.phase_figure import phase_figure

    if runs:
        raise UserError("figure 'phase' shows no runs; leave them out")
    return Drawn(phase_figure())


def _toy(runs: Sequence[str], store: Path) -> Drawn:
    """The optimum and the first run of each kind; the runs themselves where some are named."""
    from ratelab.evaluation.toy import optimum, toy_panel
    from ratelab.report.toy_figure import toy_figure

    found = _toys(runs, store)
    classes = found[0].classes
    shown = found if runs else list({toy.title: toy for toy in reversed(found)}.values())[::-1]
    columns = {"hand-made optimum": toy_panel(optimum(classes), classes)}
    columns |= {(f"{toy.title}\n{toy.run}" if runs else toy.title): toy_panel(toy.tables, classes) for toy in shown}
    titles = {f"({letter}) {title}": column for letter, (title, column) in zip("abcdefghijkl", columns.items(), strict=False)}
    return Drawn(toy_figure(titles), [toy.record() for toy in found])


def _toy_plane(runs: Sequence[str], store: Path) -> Drawn:
    from ratelab.evaluation.toy import optimum, toy_curve
    from ratelab.report.toy_plane_figure import toy_plane_figure

    found = _toys(runs, store)
    classes, records = found[0].classes, [toy.record() for toy in found]
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        groups.setdefault(record["title"], []).append(record)
    return Drawn(toy_plane_figure(groups, toy_curve(classes), float(optimum(classes).entropy)), records)


FIGURES: dict[str, Callable[[Sequence[str], Path], Drawn]] = {"phase": _phase, "toy": _toy, "toy-plane": _toy_plane}


@dataclass(frozen=True)
class Toy:
    """A finished run of a toy model; ``classes``: p(c, x) of its data."""

    run: str
    title: str
    seed: int
    classes: "Tensor"
    tables: "FiniteTables"

    def record(self) -> dict[str, Any]:
        """What the run is worth, as plain data."""
        from ratelab.evaluation.toy import toy_numbers

        return {"run": self.run, "title": self.title, "seed": self.seed, **toy_numbers(self.tables, self.classes)}


def _toys(runs: Sequence[str], store: Path) -> list[Toy]:
    """The named runs, or all of the store that are toy models of the same data, by title and seed; :class:`UserError` where none."""
    from ratelab.analysis.records import read_record, read_records
    from ratelab.evaluation.toy import law_of, toy_tables
    from ratelab.runs import open_run

    if runs:
        records = [read_record(find_run(run, store)) for run in runs]
    else:
        records = [r for r in read_records(store) if r.status == "done" and r.recipe["data"]["name"] == "toy"]
        records = [r for r in records if r.recipe["data"]["sample"] is None]
    found = []
    for record in records:
        data = record.recipe["data"]
        tables = None
        if data["name"] == "toy" and record.status == "done":
            classes = law_of(data)
            tables = toy_tables(open_run(record.folder).model, classes)
        if tables is not None:
            title = record.recipe["title"] or record.recipe["objective"]["name"]
            found.append(Toy(record.run, title, record.recipe["seed"], classes, tables))
        elif runs:
            raise UserError(
                f"run {record.run} is no finished toy model on data 'toy'; make some with 'ratelab sweep alemi2018/toy'"
            )
    if not found:
        raise UserError(f"the store {store} holds no finished toy model; make some with 'ratelab sweep alemi2018/toy'")
    if any(toy.classes.shape != found[0].classes.shape or not toy.classes.equal(found[0].classes) for toy in found):
        raise UserError("these toy models were trained on different laws; name runs of the same data")
    order = list(dict.fromkeys(toy.title for toy in sorted(found, key=lambda toy: float(toy.tables.rate))))
    return sorted(found, key=lambda toy: (order.index(toy.title), toy.seed))


def _print(path: Path, runs: Sequence[Mapping[str, Any]], out: Console) -> None:
    """The file, and the median [lowest, highest] of every number over the runs of each title."""
    from ratelab.cli.tables import table

    out.print(str(path))
    titles = list(dict.fromkeys(run["title"] for run in runs))
    if titles:
        made = table("median [lowest, highest]", *(f"{title} ({sum(r['title'] == title for r in runs)})>" for title in titles))
        for name, label in NUMBERS.items():
            made.add_row(label, *(_spread([run[name] for run in runs if run["title"] == title]) for title in titles))
        out.print(made)


def _spread(values: Sequence[float]) -> str:
    from statistics import median

    return f"{_short(median(values))} [{_short(min(values))}, {_short(max(values))}]"


def _short(value: float) -> str:
    return f"{value:.4f}" if abs(value) >= 0.01 else f"{value:.1e}"

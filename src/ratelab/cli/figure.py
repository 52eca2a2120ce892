"""``ratelab figure``: one figure or table of a paper, drawn from stored runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from ratelab.cli.options import DEFAULT_STORE, AsJson, StoreDir, find_run
from ratelab.cli.terminal import answer
from ratelab.cli.toys import toys
from ratelab.core.errors import UserError, nearest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
    "target": "target H - log N",
    "law_from_sample": "KL(p^ || p*)",
    "s_sample": "S on the sample, KL(p^ || g)",
    "s": "S, KL(p* || g)",
    "u": "U",
    "information": "I_e >= U - S",
    "neg_elbo": "D + R on the sample",
    "truth": "KL(P_2 || P_1)",
    "estimate": "E_{P_2}[-logit]",
    "bias": "its bias",
    "dv": "Donsker-Varadhan bound",
    "nwj": "NWJ bound",
}


@dataclass(frozen=True)
class Asked:
    """What the command line asks a figure for."""

    runs: Sequence[str]
    store: Path
    data: str | None = None
    score: str | None = None
    draws: int | None = None
    count: int | None = None

    def only(self, name: str, *takes: str) -> None:
        """:class:`UserError` where something was given that the figure does not take."""
        options = {
            "RUNS": self.runs or None,
            "--data": self.data,
            "--score": self.score,
            "--draws": self.draws,
            "--count": self.count,
        }
        for option, given in options.items():
            if given is not None and option not in takes:
                raise UserError(f"figure '{name}' takes no {option}; leave {'them' if option == 'RUNS' else 'it'} out")


@dataclass(frozen=True)
class Drawn:
    """A figure, or a table as text, and what is known of the runs in it."""

    figure: "Figure | str"
    runs: Sequence[Mapping[str, Any]] = ()
    told: Callable[[Console], None] | None = None  # in words, where that is not a spread of numbers over runs of one title

    def content(self, suffix: str) -> bytes:
        """The file."""
        from ratelab.report.look import to_png, to_svg

        if isinstance(self.figure, str):
            return self.figure.encode()
        return to_svg(self.figure).encode() if suffix == ".svg" else to_png(self.figure)


def figure_command(
    name: Annotated[
        str,
        Parameter(
            help="Alemi et al. 2018: phase (Fig. 1), toy (Fig. 2), toy-plane, overfitting. Rosca et al. 2018: kl-bars, low-posterior "
            "(Fig. 2), low-posterior-analysis (Fig. 3), synthetic-kl. Xiao and Bamler 2023: grid (Fig. 1), inference (Fig. 2), "
            "rates (Fig. 3), marked (Fig. 4), hull (Fig. 5), generation (Fig. 6), labels (Fig. 7), accuracies (Table 1)."
        ),
    ],
    /,
    *runs: Annotated[str, Parameter(help="Runs to draw: folders, or starts of ids; by default those of the store that fit.")],
    store: StoreDir = DEFAULT_STORE,
    output: Annotated[
        Path | None,
        Parameter(name=["--output", "-o"], help="File to write, .svg or .png (.md for a table); by default NAME.svg."),
    ] = None,
    data: Annotated[str | None, Parameter(help="For figures of grids: only those on this data set.")] = None,
    score: Annotated[
        str | None, Parameter(help="For rates and hull: the score to show, as 'ratelab frontier --per-task' names it.")
    ] = None,
    draws: Annotated[
        int | None, Parameter(help="Of low-posterior figures: draws of m(z), 10000 where nothing is said.")
    ] = None,
    count: Annotated[int | None, Parameter(help="Of low-posterior figures: how many of the draws are shown, 64.")] = None,
    as_json: AsJson = False,
) -> None:
    """Draw a figure of a paper from stored runs.

    For example:

      ratelab sweep alemi2018/toy
      ratelab figure toy -o toy.svg

    phase: the phase diagram of the rate-distortion plane; it needs no run.
    toy: the hand-made optimum and one run of each kind of toy model, with their
    laws and tables. toy-plane: all runs of toy models beside the exact
    rate-distortion curves. overfitting: toy models trained on samples, from
    'ratelab sweep alemi2018/overfitting'. These but phase also print what the runs are
    worth, in nats, by exact sums over the law of the data. kl-bars: what runs were
    measured for of KL(q(z) || m(z)), by marginal-kl and others, beside the rate
    (Rosca et al. 2018, Fig. 1, 4 and 21). low-posterior: the draws of m(z) where one
    run's posteriors have the least density, beside their nearest neighbours in the
    data (Fig. 2, 10, 11, 15); low-posterior-analysis: their pixels, ELBO, KL cost and a
    map of the codes (Fig. 3, 12-14). What was computed is kept in the run's folder. synthetic-kl:
    the density-ratio trick on two known Gaussians, from 'ratelab sweep
    rosca2018/synthetic-kl'.

    The figures of Xiao and Bamler 2023 are of grids of two-layer models, a block for
    each grid in the store:

      ratelab sweep xiao2023/mnist-grid@small --store grid
      ratelab figure rates --store grid

    grid: a score as a surface, the colour of each pair of prices, and where three
    tasks find their best. rates, generation, labels: scores over the rates of the
    layers. hull: the best models for a given total rate. marked: pictures of the
    best models, or of RUNS. accuracies: a table. inference: a diagram, it needs no
    run. Where a score was not measured, the message says what adds it.
    """
    from ratelab.cli.arrays import check_output
    from ratelab.store.files import write_file

    if name not in FIGURES:
        raise UserError(f"unknown figure '{name}'{nearest(name, FIGURES)}")
    suffixes = (".md",) if name in TABLES else SUFFIXES
    path = Path(name + suffixes[0]) if output is None else output
    check_output(path, *suffixes)
    drawn = FIGURES[name](Asked(runs, store, data, score, draws, count))
    write_file(path, drawn.content(path.suffix))
    answer({"schema": 1, "figure": str(path), "runs": list(drawn.runs)}, as_json, lambda out: _print(path, drawn, out))


def _phase(asked: Asked) -> Drawn:
    from ratelab.report.phase_figure import phase_figure

    asked.only("phase")
    return Drawn(phase_figure())


def _toy(asked: Asked) -> Drawn:
    """The optimum and the first run of each kind; the runs themselves where some are named."""
    from ratelab.evaluation.toy import optimum, toy_panel
    from ratelab.report.toy_figure import toy_figure

    asked.only("toy", "RUNS")
    found = toys(asked.runs, asked.store)
    classes = found[0].classes
    shown = found if asked.runs else list({toy.title: toy for toy in reversed(found)}.values())[::-1]
    columns = {"hand-made optimum": toy_panel(optimum(classes), classes)}
    columns |= {(f"{toy.title}\n{toy.run}" if asked.runs else toy.title): toy_panel(toy.tables, classes) for toy in shown}
    titles = {f"({letter}) {title}": column for letter, (title, column) in zip("abcdefghijkl", columns.items(), strict=False)}
    return Drawn(toy_figure(titles), [toy.record() for toy in found])


def _toy_plane(asked: Asked) -> Drawn:
    from ratelab.evaluation.toy import optimum, toy_curve
    from ratelab.report.toy_plane_figure import toy_plane_figure

    asked.only("toy-plane", "RUNS")
    found = toys(asked.runs, asked.store)
    classes, records = found[0].classes, [toy.record() for toy in found]
    best = optimum(classes)
    return Drawn(toy_plane_figure(_by_title(records), toy_curve(classes), float(best.entropy), float(best.rate)), records)


def _overfitting(asked: Asked) -> Drawn:
    from ratelab.report.overfitting_figure import overfitting_figure

    asked.only("overfitting", "RUNS")
    found = toys(asked.runs, asked.store, sampled=True)
    records = [toy.record() for toy in found]
    return Drawn(overfitting_figure(_by_title(records), float(found[0].tables.entropy)), records)


def _kl_bars(asked: Asked) -> Drawn:
    from ratelab.analysis.divergence import divergences
    from ratelab.analysis.records import at_conditions, read_record, read_records
    from ratelab.cli.tables import divergences_table
    from ratelab.report.kl_figure import kl_bars_figure

    asked.only("kl-bars", "RUNS")
    named = [each for run in asked.runs for each in at_conditions(read_record(find_run(run, asked.store)))]
    found = divergences(named or read_records(asked.store))
    return Drawn(kl_bars_figure(found), [each.record() for each in found], lambda out: out.print(divergences_table(found)))


def _low_posterior(name: str) -> Callable[[Asked], Drawn]:
    def draw(asked: Asked) -> Drawn:
        from ratelab.cli.low_posterior import analysed, grids, histograms

        asked.only(name, "RUNS", "--draws", "--count")
        analysis = analysed(asked.runs, asked.store, asked.draws, asked.count)
        figure = grids(analysis) if name == "low-posterior" else histograms(analysis)
        return Drawn(figure, [analysis.record()], lambda out: out.print(analysis.table(), analysis.line()))

    return draw


def _by_title(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        groups.setdefault(record["title"], []).append(record)
    return groups


def _inference(asked: Asked) -> Drawn:
    from ratelab.report.diagrams import hierarchies_diagram

    asked.only("inference")
    return Drawn(hierarchies_diagram())


def _of_grids(name: str, *takes: str) -> Callable[[Asked], Drawn]:
    def draw(asked: Asked) -> Drawn:
        from ratelab.cli.grid_figures import grid_figure, print_best

        asked.only(name, "--data", *takes)
        figure, found = grid_figure(name, asked.store, asked.data, asked.score)
        records = [record for grid, tasks in found for record in grid.records(tasks)]
        return Drawn(figure, records, lambda out: print_best(found, out))

    return draw


def _marked(asked: Asked) -> Drawn:
    from ratelab.cli.grid_figures import marked_figure

    asked.only("marked", "RUNS", "--data")
    figure, records = marked_figure(asked.runs, asked.store, asked.data)
    return Drawn(figure, records, lambda out: out.print(f"runs: {', '.join(record['run'] for record in records)}"))


def _accuracies(asked: Asked) -> Drawn:
    from ratelab.cli.grid_figures import accuracies, accuracies_table, markdown

    asked.only("accuracies", "--data")
    rows, records = accuracies(asked.store, asked.data)
    return Drawn(markdown(rows), records, lambda out: out.print(accuracies_table(rows)))


def _synthetic_kl(asked: Asked) -> Drawn:
    from ratelab.cli.synthetic import synthetic_records
    from ratelab.report.synthetic_figure import synthetic_figure

    asked.only("synthetic-kl", "RUNS")
    records = synthetic_records(asked.runs, asked.store)
    return Drawn(synthetic_figure(records), records)


TABLES = ("accuracies",)
FIGURES: dict[str, Callable[[Asked], Drawn]] = {
    "phase": _phase,
    "toy": _toy,
    "toy-plane": _toy_plane,
    "overfitting": _overfitting,
    "kl-bars": _kl_bars,
    "low-posterior": _low_posterior("low-posterior"),
    "low-posterior-analysis": _low_posterior("low-posterior-analysis"),
    "synthetic-kl": _synthetic_kl,
    "grid": _of_grids("grid"),
    "inference": _inference,
    "rates": _of_grids("rates", "--score"),
    "marked": _marked,
    "hull": _of_grids("hull", "--score"),
    "generation": _of_grids("generation"),
    "labels": _of_grids("labels"),
    "accuracies": _accuracies,
}


def _print(path: Path, drawn: Drawn, out: Console) -> None:
    """The file, and what is told of the runs."""
    out.print(str(path))
    if drawn.told is not None:
        drawn.told(out)
    elif drawn.runs:
        _print_spreads(drawn.runs, out)


def _print_spreads(runs: Sequence[Mapping[str, Any]], out: Console) -> None:
    """The median [lowest, highest] of every number over the runs of each title (and number of training points)."""
    from ratelab.cli.tables import table

    columns: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        columns.setdefault(f"{run['title']}, N {run['examples']:g}" if "examples" in run else run["title"], []).append(run)
    made = table("median [lowest, highest]", *(f"{title} ({len(members)})>" for title, members in columns.items()))
    for name, label in NUMBERS.items():
        if name in runs[0]:
            made.add_row(label, *(_spread([run[name] for run in members]) for members in columns.values()))
    out.print(made)


def _spread(values: Sequence[float]) -> str:
    from statistics import median

    return f"{_short(median(values))} [{_short(min(values))}, {_short(max(values))}]"


def _short(value: float) -> str:
    return f"{value:.4f}" if abs(value) >= 0.01 else f"{value:.1e}"

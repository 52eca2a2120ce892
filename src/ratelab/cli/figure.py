"""``ratelab figure``: one figure of a paper, drawn from stored runs."""

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
}


@dataclass(frozen=True)
class Drawn:
    """A figure, and what is known of the runs in it."""

    figure: "Figure"
    runs: Sequence[Mapping[str, Any]] = ()
    told: Callable[[Console], None] | None = None  # in words, where that is not a spread of numbers over runs of one title


def figure_command(
    name: Annotated[
        str, Parameter(help="phase (Alemi et al. 2018, Fig. 1), toy (Fig. 2), toy-plane, overfitting, or kl-bars.")
    ],
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
    rate-distortion curves. overfitting: toy models trained on samples, from
    'ratelab sweep alemi2018/overfitting'. These but phase also print what the runs are
    worth, in nats, by exact sums over the law of the data. kl-bars: what runs were
    measured for of KL(q(z) || m(z)), by marginal-kl and others, beside the rate
    (Rosca et al. 2018, Fig. 1, 4 and 21).
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
    answer({"schema": 1, "figure": str(path), "runs": list(drawn.runs)}, as_json, lambda out: _print(path, drawn, out))


def _phase(runs: Sequence[str], store: Path) -> Drawn:
    from ratelab.report.phase_figure import phase_figure

    if runs:
        raise UserError("figure 'phase' shows no runs; leave them out")
    return Drawn(phase_figure())


def _toy(runs: Sequence[str], store: Path) -> Drawn:
    """The optimum and the first run of each kind; the runs themselves where some are named."""
    from ratelab.evaluation.toy import optimum, toy_panel
    from ratelab.report.toy_figure import toy_figure

    found = toys(runs, store)
    classes = found[0].classes
    shown = found if runs else list({toy.title: toy for toy in reversed(found)}.values())[::-1]
    columns = {"hand-made optimum": toy_panel(optimum(classes), classes)}
    columns |= {(f"{toy.title}\n{toy.run}" if runs else toy.title): toy_panel(toy.tables, classes) for toy in shown}
    titles = {f"({letter}) {title}": column for letter, (title, column) in zip("abcdefghijkl", columns.items(), strict=False)}
    return Drawn(toy_figure(titles), [toy.record() for toy in found])


def _toy_plane(runs: Sequence[str], store: Path) -> Drawn:
    from ratelab.evaluation.toy import optimum, toy_curve
    from ratelab.report.toy_plane_figure import toy_plane_figure

    found = toys(runs, store)
    classes, records = found[0].classes, [toy.record() for toy in found]
    best = optimum(classes)
    return Drawn(toy_plane_figure(_by_title(records), toy_curve(classes), float(best.entropy), float(best.rate)), records)


def _overfitting(runs: Sequence[str], store: Path) -> Drawn:
    from ratelab.report.overfitting_figure import overfitting_figure

    found = toys(runs, store, sampled=True)
    records = [toy.record() for toy in found]
    return Drawn(overfitting_figure(_by_title(records), float(found[0].tables.entropy)), records)


def _kl_bars(runs: Sequence[str], store: Path) -> Drawn:
    from ratelab.analysis.divergence import divergences
    from ratelab.analysis.records import at_conditions, read_record, read_records
    from ratelab.cli.tables import divergences_table
    from ratelab.report.kl_figure import kl_bars_figure

    named = [each for run in runs for each in at_conditions(read_record(find_run(run, store)))]
    found = divergences(named or read_records(store))
    return Drawn(kl_bars_figure(found), [each.record() for each in found], lambda out: out.print(divergences_table(found)))


def _by_title(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        groups.setdefault(record["title"], []).append(record)
    return groups


FIGURES: dict[str, Callable[[Sequence[str], Path], Drawn]] = {
    "phase": _phase,
    "toy": _toy,
    "toy-plane": _toy_plane,
    "overfitting": _overfitting,
    "kl-bars": _kl_bars,
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

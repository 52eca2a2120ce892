"""Tables for people: the estimates of a run, the plane of a store."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from ratelab.cli.wording import measured, plain
from ratelab.core.estimate import Estimate, number_from_json

if TYPE_CHECKING:
    from ratelab.analysis.divergence import Divergence
    from ratelab.analysis.plane import Plane
    from ratelab.analysis.point import Point

UNITS = {"nat": "nats", "1": ""}


def table(*headings: str, title: str | None = None) -> Table:
    """An empty table with these headings; one that ends in ``>`` is set to the right."""
    made = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in headings:
        made.add_column(heading.rstrip(">"), justify="right" if heading.endswith(">") else "left", overflow="fold")
    return made


def print_estimates(results: Mapping[str, Any], out: Console) -> None:
    """:func:`estimates_table` of a run, or of one of its points, and which runs helped to measure it."""
    from ratelab.analysis.helped import helped

    out.print(estimates_table(results))
    for line in helped(results, results.get("condition")):
        out.print(line)


def estimates_table(results: Mapping[str, Any]) -> Table:
    """What was measured on the test split: standard error, unit, which side of the truth it is on, and of how many examples."""
    made = table("estimate", "value ± standard error>", "unit", "bound", "n>", "of")
    for name, record in results["estimates"].items():
        layers = record if isinstance(record, list) else [record]
        if name == "rates" and len(layers) == 1:
            continue
        for entry in layers:
            estimate = Estimate.from_json(entry)
            fine = estimate.unit == "bit/dim" or 0 < estimate.stderr < 0.005  # two digits would show such an error as none
            shown = measured(estimate, 4 if fine else 2)
            of = f"{estimate.of}: {estimate.why}" if math.isnan(estimate.value) and estimate.why else estimate.of
            made.add_row(name, shown, UNITS.get(estimate.unit, estimate.unit), estimate.bound, str(estimate.n), of)
    return made


def print_plane(plane: "Plane", out: Console) -> None:
    """The runs of one data set by rising rate, the bound on its entropy, the best model per task, and who is left out."""
    out.print(f"{plane.data}: test split, nats per example, ± one standard error")
    made = table("run", "family", "setting", "R>", "D>", "D + R>", "on the", "region")
    frontier, hull = ({p.run for p in points} for points in (plane.frontier, plane.hull))
    for point in sorted(plane.shown, key=lambda p: p.xy):
        place = "hull" if point.run in hull else "frontier" if point.run in frontier else ""
        where = [each.value for each in (plane.region(point), plane.behaviour(point)) if each]
        made.add_row(*_cells(point), place, ", ".join(where))
    out.print(made)
    if plane.h_hat is not None:
        out.print(
            f"H-hat = {measured(plane.h_hat.neg_elbo)} nats: the {plane.entropy} of the data is at most this (run {plane.h_hat.run})"
        )
    for task, winner in plane.best.items():
        told = "none" if winner is None else f"{winner.run} ({', '.join(filter(None, (winner.family, winner.setting)))})"
        out.print(f"best to {task}: {told}")
    if plane.gaps:
        out.print("one model for all beta, against models trained for one: mean difference over the same test examples, nats")
        out.print(gaps_table(plane))
    for point in plane.apart:
        out.print(f"not on the plane: {point.run} ({point.apart})")


def print_tasks(plane: "Plane", out: Console) -> None:
    """For every score: the best run, and for a given total rate the runs on the upper hull, with the rates of their layers."""
    from ratelab.analysis.helped import judges

    if not plane.tasks:
        out.print("no score beyond rate and distortion was measured; add some with 'ratelab evaluate RUN --estimators ...'")
    for task in plane.tasks:
        better = "higher" if task.higher else "lower"
        out.print(f"{task.name} ({task.values[task.best.run].of}, {better} is better): best for a given total rate")
        made = table("run", "family", "setting", "R>", "rates, top layer first>", "score>", "")
        for point in task.optimal:
            estimate = task.values[point.run]
            rates = ", ".join(plain(rate.value, 2) for rate in point.rates)
            shown = measured(estimate, 4 if estimate.unit == "1" else 2)
            made.add_row(
                point.run, point.family, point.setting, measured(point.rate), rates, shown, "best" if point is task.best else ""
            )
        out.print(made)
        by = judges((p.record for p in plane.shown if p.run in task.values), [task.name])
        if by:
            out.print(by)
        if task.missing:
            out.print(f"without this score: {', '.join(p.run for p in task.missing)}")


def gaps_table(plane: "Plane") -> Table:
    """D + beta R of each point of a conditioned model, and what it loses to the separate model of that beta."""
    made = table("run", "separate run", "networks", "D + beta R>", "separate>", "loss>")
    for gap in plane.gaps:
        loss = Estimate(gap.found.mean, gap.found.stderr, gap.found.n, of=gap.found.of)
        networks = "the same" if gap.alike else "other widths"
        made.add_row(gap.point.run, gap.rival.run, networks, plain(gap.value), plain(gap.separate), measured(loss))
    return made


def divergences_table(found: "Sequence[Divergence]") -> Table:
    """Estimates of KL(q(z) || m(z)), a line for each, a column for each run."""
    from ratelab.analysis.divergence import ESTIMATES

    made = table("nats ± standard error", *(f"{each.title}\n{each.run}>" for each in found))
    for name, words in ESTIMATES.items():
        if any(name in each.estimates for each in found):
            made.add_row(words, *(measured(each.estimates[name]) if name in each.estimates else "" for each in found))
    return made


def print_comparison(document: Mapping[str, Any], out: Console) -> None:
    """The differences of two runs, one line for each quantity, with what could not be compared and why."""
    first, second = document["compare"]
    n = document["differences"]["rate"]["n"]
    out.print(f"{first} minus {second}: mean over the same {n} test examples, nats, ± one standard error")
    made = table("of", "difference>", "in standard errors>")
    for name, found in document["differences"].items():
        mean, stderr, z = (number_from_json(found[key]) for key in ("mean", "stderr", "z"))
        shown = Estimate(mean, stderr, found["n"], of=name, why=found.get("why"))
        made.add_row(name, f"{measured(shown, 3)}{': ' + found['why'] if 'why' in found else ''}", plain(z, 1))
    out.print(made)


def _cells(point: "Point") -> tuple[str, ...]:
    total = measured(point.neg_elbo) if point.neg_elbo.n else plain(sum(point.xy))
    return point.run, point.family, point.setting, measured(point.rate), measured(point.distortion), total

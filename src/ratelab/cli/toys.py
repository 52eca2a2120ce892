"""Finished runs of toy models, as the exact tables they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratelab.cli.options import find_run
from ratelab.core.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from ratelab.analysis.records import Record
    from ratelab.exact.tables import FiniteTables


@dataclass(frozen=True)
class Toy:
    """One run. ``classes``: p(c, x) of its data; ``draws``: what it was trained on, None where that was the law itself."""

    run: str
    title: str
    seed: int
    classes: "Tensor"
    tables: "FiniteTables"
    draws: "NDArray[Any] | None"

    def record(self) -> dict[str, Any]:
        """What the run is worth, as plain data."""
        from ratelab.evaluation.toy import overfitting_numbers, toy_numbers

        known = {"run": self.run, "title": self.title, "seed": self.seed}
        numbers = toy_numbers(self.tables, self.classes)
        return {**known, **numbers} if self.draws is None else {**known, **overfitting_numbers(self.tables, self.draws)}


def toys(runs: Sequence[str], store: Path, sampled: bool = False) -> list[Toy]:
    """The named runs, or all of the store: toy models trained on one law, or (``sampled``) on samples of one.

    By title in the order of their rates, then by number of training points and seed. Raises :class:`UserError` where a named run is
    none, and where there is none at all.
    """
    from ratelab.analysis.records import read_record, read_records

    named = [read_record(find_run(run, store)) for run in runs]
    kind, recipe = ("toy model trained on a sample", "overfitting") if sampled else ("toy model", "toy")
    advice = f"make some with 'ratelab sweep alemi2018/{recipe}'"
    opened = [(record.run, _open(record, sampled)) for record in named or read_records(store)]
    found = [toy for _, toy in opened if toy is not None]
    for run, toy in opened:
        if named and toy is None:
            raise UserError(f"run {run} is no finished {kind}; {advice}")
    if not found:
        raise UserError(f"the store {store} holds no finished {kind}; {advice}")
    if any(not toy.classes.equal(found[0].classes) for toy in found):
        raise UserError("these toy models were trained on different laws; name runs of the same data")
    order = list(
        dict.fromkeys(toy.title for toy in sorted(found, key=lambda toy: (round(float(toy.tables.rate), 2), toy.title)))
    )
    size = {toy.run: 0 if toy.draws is None else len(toy.draws) for toy in found}
    return sorted(found, key=lambda toy: (order.index(toy.title), size[toy.run], toy.seed))


def _open(record: "Record", sampled: bool) -> Toy | None:
    """A run as tables; None for one that is not finished or no toy model of the kind."""
    if record.status != "done" or record.recipe["data"]["name"] != "toy":
        return None
    data = record.recipe["data"]
    if (data["sample"] is not None) is not sampled:
        return None
    from ratelab.evaluation.toy import law_of, toy_tables
    from ratelab.runs import open_run

    classes, trained = law_of(data), open_run(record.folder)
    tables = toy_tables(trained.model, classes)
    title = record.recipe["title"] or record.recipe["objective"]["name"]
    draws = trained.dataset.train.x if sampled else None
    return None if tables is None else Toy(record.run, title, record.recipe["seed"], classes, tables, draws)

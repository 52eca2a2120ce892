"""Grids of two-layer models in a store, for the figures of Xiao and Bamler 2023 and their Table 1."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratelab.analysis.helped import JUDGED
from ratelab.cli.terminal import say
from ratelab.core.errors import UserError, nearest

if TYPE_CHECKING:
    from ratelab.analysis.choice import Task
    from ratelab.analysis.landscape import Landscape
    from ratelab.analysis.point import Point

KINDS = ("logistic", "linear_svm", "rbf_svm", "knn")
GENERATION = ("inception_score", "diversity", "sharpness")
TOP = ", layer 2"
ADDED_BY = {
    **{f"accuracy_{kind}": "downstream" for kind in KINDS},
    "label_information": "label-information",
    "psnr": "psnr",
    **JUDGED,
}
OF_LABELS = ("accuracy_", "label_information")
MAKE = "make one with 'ratelab sweep xiao2023/mnist-grid@small objective.beta.0=log:0.1:10:7 objective.beta.1=log:0.1:10:7'"


@dataclass(frozen=True)
class Grid:
    """One landscape of a store, and what it can be asked for."""

    store: Path
    data: str
    land: "Landscape"

    @property
    def title(self) -> str:
        return f"{self.data}: {self.land.family}"

    def tasks(self, names: Sequence[str]) -> list["Task"]:
        """These scores, in this order; a name without its layer is that of the top layer. :class:`UserError` where one was not measured."""
        from ratelab.analysis.landscape import FEWEST, measured

        known = {task.name: task for task in self.land.tasks}
        found = []
        for name in names:
            task = known.get(name) or known.get(name + TOP)
            if task is None or len(measured(self.land, task)) < FEWEST:
                raise UserError(self._lacks(name, known))
            if task.missing:
                say(f"{self.title}: {len(task.missing)} of {len(self.land.cells)} runs lack {task.name}; {self._add(name)}")
            found.append(task)
        return found

    def one_of(self, names: Sequence[str]) -> str:
        """The first of several scores that was measured; the first where none was."""
        known = {task.name for task in self.land.tasks}
        return next((name for name in names if name in known or name + TOP in known), names[0])

    def _lacks(self, name: str, known: Mapping[str, Any]) -> str:
        if name.partition(",")[0] not in ADDED_BY:
            return f"unknown score '{name}'{nearest(name, [*known, *ADDED_BY])}; measured: {', '.join(known) or 'none'}"
        labels = " (it needs data with labels)" if name.startswith(OF_LABELS) else ""
        return f"{self.title}: fewer than three runs of the grid have '{name}'; {self._add(name)}{labels}"

    def _add(self, name: str) -> str:
        score = name.partition(",")[0]
        estimator, others = ADDED_BY[score], ""
        if score in JUDGED:
            from ratelab.runs.judges import recipes_for

            fitting = recipes_for(self.land.points[0].record.recipe["data"])
            estimator = f"'{{name: {estimator}, classifier: {fitting[0] if fitting else 'RECIPE'}}}'"
            others = f"; {' and '.join(fitting[1:])} would do too" if fitting[1:] else ""
            others = others if fitting else ", with the recipe of a classifier of this data"
        return f'"ratelab evaluate {self.store} --estimators {estimator}" adds it{others}'

    def record(self, point: "Point", tasks: Sequence["Task"]) -> dict[str, Any]:
        """One run as plain data: prices, rates and scores on the test split."""
        from ratelab.analysis.choice import prices

        scores = {task.name: task.values[point.run].to_json() for task in tasks if point.run in task.values}
        told = {"run": point.run, "data": self.data, "family": self.land.family, "betas": list(prices(point) or ())}
        return {**told, "rates": [rate.value for rate in point.rates], "distortion": point.distortion.value, **scores}

    def records(self, tasks: Sequence["Task"]) -> list[dict[str, Any]]:
        """All runs of the grid as plain data."""
        return [self.record(point, tasks) for point in self.land.points]

    def tell_holes(self) -> None:
        """Say which pairs of prices have no run."""
        holes = self.land.missing
        if holes:
            some = ", ".join(f"({a:.3g}, {b:.3g})" for a, b in holes[:12]) + (", ..." if len(holes) > 12 else "")
            say(
                f"{self.title}: no finished run for {len(holes)} pairs of prices (beta_2, beta_1): {some}; start the sweep again"
            )


def grids(store: Path, data: str | None = None) -> list[Grid]:
    """Every grid of the store, or of one of its data sets, by data set and family; :class:`UserError` where there is none."""
    from ratelab.analysis.plane import plane, planes

    found = planes(store) if data is None else [plane(store, data)]
    made = [Grid(store, each.data, land) for each in found for land in each.landscapes]
    if not made:
        where = f"the store {store}" if data is None else f"'{data}' in the store {store}"
        raise UserError(f"{where} has no grid of two-layer models with a price for each layer; {MAKE}")
    made.sort(key=lambda grid: (grid.data, grid.land.family))
    for grid in made:
        grid.tell_holes()
    return made

"""``ratelab figure low-posterior`` and ``low-posterior-analysis``: computed once for a run, kept in its folder, drawn from there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ratelab.cli.options import find_run, open_trained
from ratelab.cli.terminal import say
from ratelab.core.at import condition, parted, slug
from ratelab.core.errors import UserError
from ratelab.core.estimate import Estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

    from ratelab.runs import Trained

DRAWS, COUNT = 10_000, 64
FORMAT = 2  # of the kept arrays
GROUPS = {
    "uniform": "uniformly chosen data",
    "neighbours": "nearest neighbours in the data",
    "samples": "low-posterior samples",
}


@dataclass(frozen=True)
class Analysis:
    """A run, what was computed of it, and the values that are black and white in its pictures (None: no pictures)."""

    run: str
    title: str
    found: Mapping[str, NDArray[Any]]
    shades: tuple[float, float] | None

    def record(self) -> dict[str, Any]:
        """The numbers as plain JSON data."""
        from ratelab.evaluation.low_posterior import numbers

        return {"run": self.run, "title": self.title, **numbers(self.found)}

    def table(self) -> "Table":
        """Means of each group, nats."""
        from ratelab.cli.tables import table
        from ratelab.cli.wording import measured

        record = self.record()
        made = table(f"run {self.run}", "D + R (nats)>", "KL cost R (nats)>")
        for group, words in GROUPS.items():
            pairs = [record[f"{group}_{name}"] for name in ("neg_elbo", "rate")]
            made.add_row(words, *(measured(Estimate(p["mean"], p["stderr"] or float("nan"), 0, of="")) for p in pairs))
        return made

    def line(self) -> str:
        """How far the chosen draws lie from the others."""
        record = self.record()
        return (
            f"log q(z): the {record['count']} lowest of {record['draws']} draws of m(z) are at most {record['highest_chosen_log_q']:.1f}, "
            f"their median is {record['median_log_q']:.1f} nats; median L2 distance to a neighbour {record['median_distance']:.2f}"
        )


def grids(analysis: Analysis) -> "Figure":
    """Pictures of the samples; :class:`UserError` where the data is no image."""
    from ratelab.report.low_posterior_figure import low_posterior_grids

    if analysis.shades is None:
        raise UserError(f"the examples of run {analysis.run} are no images; 'low-posterior-analysis' needs none")
    return low_posterior_grids(analysis.found, *analysis.shades)


def histograms(analysis: Analysis) -> "Figure":
    """What the samples are like."""
    from ratelab.report.low_posterior_figure import low_posterior_analysis

    return low_posterior_analysis(analysis.found)


def analysed(runs: Sequence[str], store: Path, draws: int | None, count: int | None) -> Analysis:
    """The analysis of one run, from its folder where it was made before with the same numbers.

    Raises :class:`UserError` for no run or several, and where the run's model allows none.
    """
    if len(runs) != 1:
        raise UserError("low-posterior figures are of one run; name one (see 'ratelab frontier')")
    asked = np.array([FORMAT, DRAWS if draws is None else draws, COUNT if count is None else count])
    trained = open_trained(runs[0], store, "auto", False)
    name, betas = parted(runs[0])
    folder = find_run(name, store)
    place = "low-posterior" + slug(None if betas is None else condition(betas))
    kept = folder.arrays(place)
    if not np.array_equal(kept.get("asked", ()), asked):
        kept = {"asked": asked, **_computed(trained, int(asked[1]), int(asked[2]))}
        with folder.locked():
            folder.write_arrays(place, kept)
    return Analysis(trained.run, str(trained.recipe.title), kept, _shades(trained))


def _computed(trained: "Trained", draws: int, count: int) -> dict[str, NDArray[Any]]:
    from ratelab.evaluation.low_posterior import low_posterior

    line = f"run {trained.run}: {draws} draws of m(z) under the posteriors of all training and validation examples"
    return low_posterior(trained.model, trained.dataset, trained.recipe.seed, draws, count, lambda: say(line))


def _shades(trained: "Trained") -> tuple[float, float] | None:
    from ratelab.core.dataset import Support

    if len(trained.dataset.event_shape) != 3:
        return None
    if trained.dataset.support is not Support.REAL:
        return 0.0, 1.0
    x = trained.dataset.train.x
    return min(float(x.min()), 0.0), max(float(x.max()), 1e-12)

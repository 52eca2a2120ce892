"""What the runs of a store know of KL(q(z) || m(z)): every estimate of it, beside the rate that bounds it (Rosca et al. 2018)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ratelab.analysis.point import points
from ratelab.analysis.records import Record
from ratelab.core.errors import UserError
from ratelab.core.estimate import Estimate

ESTIMATES = {
    "rate": "rate (bound from above)",
    "marginal_kl": "Monte Carlo",
    "marginal_kl_ratio": "density ratio",
    "marginal_kl_dv": "Donsker-Varadhan",
    "marginal_kl_nwj": "NWJ",
    "marginal_kl_gmm": "Gaussian mixture",
    "marginal_kl_maf": "MAF",
    "marginal_kl_lstm": "LSTM",
}
"""Names of estimates as they lie in results, and in words: bounds from above, the reference, ratios, density models."""


@dataclass(frozen=True)
class Divergence:
    """One run's finite estimates, in the order of :data:`ESTIMATES`; ``title`` tells it from the others."""

    run: str
    title: str
    data: str
    estimates: Mapping[str, Estimate]

    def record(self) -> dict[str, Any]:
        """The same as plain JSON data."""
        estimates = {name: estimate.to_json() for name, estimate in self.estimates.items()}
        return {"run": self.run, "title": self.title, "data": self.data, "estimates": estimates}


def divergences(records: Sequence[Record]) -> list[Divergence]:
    """The finished runs that were measured for KL(q(z) || m(z)), grouped by their data, in the order given.

    Raises :class:`UserError` where there is none.
    """
    measured = [record for record in records if record.status == "done" and len(_known(record)) > 1]
    if not measured:
        raise UserError(
            "no run given was measured for KL(q(z) || m(z)); 'ratelab evaluate RUN --estimators marginal-kl' does so"
        )
    labelled = points(measured)
    titles = [str(point.record.recipe.get("title", "")) for point in labelled]
    if "" in titles or len(set(titles)) < len(titles):
        titles = [", ".join(filter(None, (point.family, point.setting))) for point in labelled]
    found = [
        Divergence(point.run, title, point.data, _known(point.record)) for point, title in zip(labelled, titles, strict=True)
    ]
    order = list(dict.fromkeys(each.data for each in found))
    return sorted(found, key=lambda each: order.index(each.data))


def _known(record: Record) -> dict[str, Estimate]:
    given = {name: record.estimates.get(name) for name in ESTIMATES}
    return {name: e for name, e in given.items() if isinstance(e, Estimate) and abs(e.value) < float("inf")}

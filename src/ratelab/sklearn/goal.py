"""What a VAE is asked for, prices or a target, and how its epochs are compared by early stopping."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ratelab.core.asked import asked
from ratelab.core.estimate import Estimate
from ratelab.core.estimator import Result
from ratelab.core.target import missed, tolerance
from ratelab.sklearn.settings import Settings


@dataclass(frozen=True)
class Goal:
    """``log_jacobian``: nats by which distortions in the units of the data exceed those the networks are trained in."""

    settings: Settings
    log_jacobian: float = 0.0

    @property
    def free(self) -> bool:
        """Prices are given, no target is."""
        return self.settings.rate is None and self.settings.distortion is None

    @property
    def node(self) -> dict[str, Any]:
        """What is minimised, as a node of the objective table."""
        rate = self.settings.rate
        if rate is not None:
            node = asked({"rates" if isinstance(rate, tuple) else "rate": rate})
        elif self.settings.distortion is not None:
            node = asked({"distortion": self.settings.distortion - self.log_jacobian})
        else:
            node = asked({"beta": self.settings.beta})
        return dict(node)

    def merit(self, row: Mapping[str, Any]) -> float | None:
        """What early stopping compares, on the validation rows (lower is better); None for an epoch that misses the target.

        D + sum_l beta_l R_l, not the ELBO: with beta other than 1 the best ELBO belongs to another point of the plane. Under a
        target, what is held is carried to the target along the slope of the moment, e.g. D + beta (R - sigma).
        """
        distortion, rates = row["validation/distortion"], np.asarray(row["validation/rates"])
        if self.settings.distortion is not None:
            target = self.settings.distortion - self.log_jacobian
            if not near(self.settings.distortion, row["train/target_gap"]):
                return None
            return float(rates.sum() + (distortion - target) / row["train/beta"])
        if self.settings.rate is None:
            return float(distortion + np.dot(self.settings.beta, rates))
        per_layer = isinstance(self.settings.rate, tuple)
        if not near(self.settings.rate, row["train/target_gap"]):
            return None
        held = rates if per_layer else rates.sum()
        return float(distortion + np.dot(row["train/beta"], held - np.asarray(self.settings.rate)))

    def missed(self, measured: Mapping[str, Result]) -> str:
        """One line, in the units of the data, where what was ``measured`` (in those of training) misses the target; else empty."""
        rate, distortion = self.settings.rate, self.settings.distortion
        if rate is not None:
            return missed("rates" if isinstance(rate, tuple) else "rate", np.atleast_1d(rate).tolist(), measured)
        if distortion is None:
            return ""
        found = measured["distortion"]
        assert isinstance(found, Estimate)
        return missed("distortion", [distortion], {"distortion": replace(found, value=found.value + self.log_jacobian)})


def near(target: Any, gap: Any) -> bool:
    """The controller's running mean lies within tolerance of the target, or of all targets."""
    pairs = zip(np.atleast_1d(target), np.atleast_1d(gap), strict=True)
    return all(abs(distance) <= tolerance(wanted) for wanted, distance in pairs)

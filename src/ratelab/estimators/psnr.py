"""Peak signal-to-noise ratio of reconstructions through modes (Xiao and Bamler 2023, section 5.2).

10 log10(range^2 / MSE), with the mean squared error over all pixels of all images jointly, and every layer and the decoder at its mode.
"""

import math
from collections.abc import Mapping
from typing import Annotated

import numpy as np
from pydantic import Field

from ratelab.core.batch import Batch, ModeNoise, Noise
from ratelab.core.errors import UserError
from ratelab.core.estimate import Estimate
from ratelab.core.estimator import Estimator, Needs, Result
from ratelab.core.model import Model
from ratelab.core.passes import Pass
from ratelab.core.reference import X23, Reference
from ratelab.core.units import DECIBEL
from ratelab.estimators.averages import Column


class Psnr(Estimator):
    """``psnr`` in decibels (an estimate: the logarithm of a mean); its standard error is by the delta method.

    ``range``: the span of the data's values, 1 for pixels in [0, 1]. Raises :class:`UserError` where the data spans more.
    """

    references = (Reference(X23, "section 5.2"),)
    needs = Needs(likelihood=False)

    def __init__(self, *, range: Annotated[float, Field(gt=0)] = 1.0) -> None:
        self.range = range
        self.error = Column()

    def check(self, model: Model, seen: Pass) -> None:
        if seen.decoder is None or model.target != "x":
            raise UserError("estimator 'psnr': this model has no decoder to reconstruct with; leave it out")

    def observe(self, model: Model, batch: Batch, noise: Noise) -> None:
        seen = model(batch, ModeNoise(device=batch.x.device, dtype=batch.x.dtype))
        assert seen.decoder is not None
        low, high = float(batch.x.min()), float(batch.x.max())
        if high - low > self.range:
            raise UserError(f"estimator 'psnr': values span {low:g} to {high:g}, more than range {self.range:g}; set its range")
        self.error.add((seen.decoder.mean - batch.x).square().flatten(2).mean(-1)[0])

    def merge(self, other: Estimator) -> None:
        assert isinstance(other, Psnr)
        self.error.merge(other.error)

    def per_example(self) -> Mapping[str, np.ndarray]:
        return {"squared_error": self.error.values}

    def result(self) -> Mapping[str, Result]:
        errors = self.error.values
        mse, n = float(errors.mean()), len(errors)
        value = 10 * math.log10(self.range**2 / mse) if mse > 0 else math.inf
        spread = float(errors.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
        stderr = 10 / math.log(10) * spread / mse if mse > 0 else math.nan
        return {
            "psnr": Estimate(
                value, stderr, n, of="peak signal-to-noise ratio of mode reconstructions", bound="estimate", unit=DECIBEL
            )
        }

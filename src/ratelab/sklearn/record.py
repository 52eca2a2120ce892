"""What ``VAE.rate_distortion`` returns: plain floats in nats, each with its standard error."""

from collections.abc import Mapping
from dataclasses import dataclass

from ratelab.core.estimate import Estimate
from ratelab.core.estimator import Result


@dataclass(frozen=True)
class RateDistortionRecord:
    """Rate, distortion and their sum, in nats per example, averaged over ``n`` examples.

    ``rate``: the total; ``rates``: one per layer, top layer first; ``distortion``: -log d(x|z) in the units of the data;
    ``neg_elbo`` = rate + distortion, an upper bound on the negative log-likelihood. Each has its standard error over
    examples beside it (NaN for a single example).

    >>> RateDistortionRecord(5.0, 0.125, (1.0, 4.0), (0.1, 0.2), 20.0, 0.5, 25.0, 0.5, 100)
    RateDistortionRecord(rate=5.000±0.125, rates=(1.000±0.100, 4.000±0.200), distortion=20.000±0.500, neg_elbo=25.000±0.500; nats, n=100)
    """

    rate: float
    rate_stderr: float
    rates: tuple[float, ...]
    rates_stderr: tuple[float, ...]
    distortion: float
    distortion_stderr: float
    neg_elbo: float
    neg_elbo_stderr: float
    n: int

    @classmethod
    def of(cls, results: Mapping[str, Result]) -> "RateDistortionRecord":
        """From the named results of the rate-distortion estimator."""
        rate, distortion, neg_elbo = (_single(results[name]) for name in ("rate", "distortion", "neg_elbo"))
        layers = results["rates"]
        assert isinstance(layers, list)
        return cls(
            rate.value, rate.stderr,
            tuple(layer.value for layer in layers), tuple(layer.stderr for layer in layers),
            distortion.value, distortion.stderr,
            neg_elbo.value, neg_elbo.stderr,
            rate.n,
        )  # fmt: skip

    def __repr__(self) -> str:
        layers = ", ".join(_with_error(*pair) for pair in zip(self.rates, self.rates_stderr, strict=True))
        return (
            f"{type(self).__name__}(rate={_with_error(self.rate, self.rate_stderr)}, rates=({layers}), "
            f"distortion={_with_error(self.distortion, self.distortion_stderr)}, "
            f"neg_elbo={_with_error(self.neg_elbo, self.neg_elbo_stderr)}; nats, n={self.n})"
        )


def _single(result: Result) -> Estimate:
    assert isinstance(result, Estimate)
    return result


def _with_error(value: float, stderr: float) -> str:
    return f"{value:.3f}±{stderr:.3f}"

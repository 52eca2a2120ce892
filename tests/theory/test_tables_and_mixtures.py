"""Rates, distortions and information on random finite tables by sums, and on random mixtures of Gaussians by quadrature.

Two hundred models for truth and standard errors, a thousand for the sides of bounds.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.estimate import Estimate
from ratelab.core.passes import Layer
from ratelab.distributions.gaussians import DiagonalGaussian, StandardNormal
from ratelab.estimators.generative_information import GenerativeInformation
from ratelab.estimators.marginal_kl import MarginalKL
from ratelab.estimators.rate_distortion import RateDistortion
from ratelab.exact.tables import FiniteTables
from ratelab.models import MODELS

Found = Mapping[str, Estimate]


def tables(models: int, examples: int) -> Iterator[tuple[FiniteTables, Found]]:
    """Random laws and models of six states and three codes, measured on draws of the law."""
    states = Split(np.arange(6, dtype=np.float32))
    dataset = Dataset("states", Support.REAL, states, states, states)
    node = MODELS.resolve({"name": "tables", "states": 6, "latent_states": 3}, "model")
    model: Any = MODELS.build(node, dataset).double()
    with torch.no_grad():
        for seed in range(models):
            stream, found = torch.Generator().manual_seed(seed), {}
            law = torch.randn(6, dtype=torch.float64, generator=stream).softmax(-1)
            for parameter in model.parameters():
                parameter.normal_(generator=stream)
            batch = Batch(torch.multinomial(law, examples, True, generator=stream).double())
            for estimator in (RateDistortion(), GenerativeInformation()):
                estimator.observe(model, batch, LiveNoise(seed, dtype=torch.float64))
                found |= estimator.result()
            yield model.tables(law), found  # type: ignore[misc]


def z_scores(pairs: list[tuple[Estimate, float]]) -> np.ndarray:
    return np.array([(found.value - truth) / found.stderr for found, truth in pairs])


def assert_true_and_calibrated(pairs: Mapping[str, list[tuple[Estimate, float]]]) -> None:
    """One of two hundred may be four standard errors off; on average none is, and the errors are as large as they are said to be."""
    for name, each in pairs.items():
        z = z_scores(each)
        assert (np.abs(z) > 4).sum() <= 1, name
        assert abs(z.mean()) < 4 / math.sqrt(len(z)), name
        assert 0.85 < z.std() < 1.15, name


@pytest.mark.spec("RD02", "RD03", "RD14")
def test_on_tables_what_is_measured_is_the_sum_with_honest_errors() -> None:
    pairs = defaultdict(list)
    for exact, found in tables(200, 400):
        pairs["rate"].append((found["rate"], float(exact.rate)))
        pairs["distortion"].append((found["distortion"], float(exact.distortion)))
        pairs["neg_elbo"].append((found["neg_elbo"], float(exact.neg_elbo)))
        pairs["bits"].append((found["bits_per_dim"], float(exact.neg_elbo) / math.log(2)))
        pairs["E"].append((found["generative_information"], float(exact.e_functional)))
    assert_true_and_calibrated(pairs)


def test_on_a_thousand_tables_bounds_keep_their_side() -> None:
    for exact, found in tables(1000, 200):
        surprise = float(exact.entropy + exact.model_gap)
        above = [
            (found["neg_elbo"], surprise), (found["bits_per_dim"], surprise / math.log(2)),
            (found["rate"], float(exact.encoder_information)),
        ]  # fmt: skip
        assert (z_scores(above) > -4).all()
        assert found["neg_elbo"].bound == found["bits_per_dim"].bound == "upper"
        assert (z_scores([(found["generative_information"], float(exact.model_information))]) < 4).all()


def by_quadrature(centres: np.ndarray, width: float) -> dict[str, float]:
    """KL(q || N(0, 1)) of an equal mixture q of N(c, width^2), and the information of a draw about its centre."""
    z, step = np.linspace(centres.min() - 9 * width, centres.max() + 9 * width, 2001, retstep=True)
    parts = np.exp(-0.5 * ((z - centres[:, None]) / width) ** 2) / math.sqrt(2 * math.pi) / width
    q = parts.mean(0)
    entropy = -float((q * np.log(q)).sum() * step)
    crossed = float((q * 0.5 * (z**2 + math.log(2 * math.pi))).sum() * step)
    information = entropy - 0.5 * math.log(2 * math.pi * math.e * width**2)
    return {"marginal_kl": crossed - entropy, "information": information}


def mixtures(models: int) -> Iterator[tuple[dict[str, float], Found]]:
    """Codes about one of four random centres, of random width; q(z) is a mixture of four, the estimate's one of 200."""
    for seed in range(models):
        stream = np.random.default_rng(seed)
        centres, width = stream.normal(0, 1.2, 4), float(stream.uniform(0.3, 0.9))
        x = torch.as_tensor(stream.choice(centres, (200, 1)))
        law = DiagonalGaussian(x, scale=torch.full_like(x, width))
        noise = LiveNoise(seed, dtype=torch.float64)
        layer = Layer(law.draw(noise, 2).value, law, StandardNormal((1,), x))
        estimator = MarginalKL(samples=2)
        estimator.observe(lambda *_, layer=layer: SimpleNamespace(layers=(layer,)), Batch(x), noise)  # type: ignore[arg-type]
        yield by_quadrature(centres, width), estimator.result()  # type: ignore[misc]


@pytest.mark.spec("DM07", "RD29", "RD30")
def test_on_mixtures_divergence_and_information_agree_with_quadrature() -> None:
    pairs = defaultdict(list)
    for exact, found in mixtures(200):
        pairs["marginal_kl"].append((found["marginal_kl"], exact["marginal_kl"]))
        pairs["information"].append((found["information"], exact["information"]))
    assert_true_and_calibrated(pairs)


def test_on_a_thousand_mixtures_both_are_bracketed() -> None:
    """One in a thousand of each may miss by four standard errors: where a divergence is near 0 the errors are far from normal."""
    missed = 0
    for exact, found in mixtures(1000):
        for low, high in (("information", "information_upper"), ("marginal_kl_lower", "marginal_kl")):
            truth = exact[low.removesuffix("_lower")]
            missed += found[low].value > truth + 4 * found[low].stderr
            missed += found[high].value < truth - 4 * found[high].stderr
    assert missed <= 4

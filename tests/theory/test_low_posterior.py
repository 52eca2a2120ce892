"""Low-posterior samples against closed forms and brute force (Rosca et al. 2018, Alg. 1 and App. A)."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from linear import linear_model, world
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from scipy.stats import norm

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.distributions.flowed import Flowed
from ratelab.distributions.gaussians import DiagonalGaussian
from ratelab.encoders import ENCODERS
from ratelab.evaluation.low_posterior import (
    GROUPS,
    Codebook,
    low_posterior,
    nearest_examples,
    numbers,
    possible,
    worth,
)
from ratelab.models import MODELS


@pytest.fixture(scope="module")
def found() -> dict[str, np.ndarray]:
    exact, dataset = world(1.0, n=3000)
    return low_posterior(linear_model(exact, dataset), dataset, seed=3, draws=2000, count=40)


def test_the_density_of_the_aggregated_posterior_is_that_of_the_closed_form() -> None:
    """q(z) of a linear-Gaussian encoder is Gaussian; a mixture of 20 000 posteriors differs from it by sampling alone."""
    exact, dataset = world(1.0, n=20_000)
    model = linear_model(exact, dataset)
    law = model(Batch(torch.as_tensor(dataset.train.x)), LiveNoise(0)).layers[0].encoder.detached()
    z = torch.randn(400, 3, generator=torch.Generator().manual_seed(1))
    mine = Codebook([law], None, len(dataset.train)).log_density(z)
    mean, covariance = exact.aggregated_posterior
    truth = torch.distributions.MultivariateNormal(mean, covariance).log_prob(z.double())
    # The relative error of a mean of N densities p_n(z) is their spread over sqrt(N); its logarithm's is the same.
    pairs = law.log_prob(z.unsqueeze(1)).double().exp()
    error = (pairs.std(1) / pairs.mean(1)) / math.sqrt(len(dataset.train))
    assert ((mine - truth).abs() < 4.5 * error).all()
    assert float(error.median()) < 0.03


@pytest.mark.spec("DM51")
def test_the_chosen_draws_have_less_density_than_all_others(found: dict[str, np.ndarray]) -> None:
    log_q, chosen = found["log_q"], found["chosen"]
    assert log_q.shape == (2000,)
    assert len(set(chosen.tolist())) == 40
    others = np.delete(log_q, chosen)
    assert log_q[chosen].max() < others.min()
    assert (np.diff(log_q[chosen]) >= 0).all(), "lowest first"


def test_densities_are_those_of_all_training_and_validation_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ratelab.evaluation.low_posterior.MAPPED", 40)
    exact, dataset = world(1.0, n=700)
    model = linear_model(exact, dataset)
    held_out = Dataset(
        "two", Support.REAL, Split(dataset.train.x[:500]), Split(dataset.train.x[500:]), Split(dataset.train.x[:9])
    )
    result = low_posterior(model, held_out, seed=0, draws=300, count=5)
    z = model.marginal().draw(_stream(0), 300).value.double().numpy()
    laws = model(Batch(torch.as_tensor(dataset.train.x)), LiveNoise(0)).layers[0].encoder
    each = norm.logpdf(z[:, None], laws.loc.detach().double().numpy(), laws.scale.detach().double().numpy()).sum(-1)
    np.testing.assert_allclose(result["log_q"], logsumexp(each, 1) - math.log(700), atol=1e-4)
    np.testing.assert_allclose(
        result["samples"], model.decode((torch.as_tensor(z[result["chosen"]]).float(),)).detach(), atol=1e-5
    )


def _stream(seed: int) -> LiveNoise:
    """The stream of the analysis, after the pass over four examples that it begins with."""
    noise = LiveNoise.for_purpose(seed, "low-posterior")
    noise.normal((1, 4, 3))
    return noise


@pytest.mark.parametrize("context", [0, 3])
def test_flows_are_scored_where_they_carry_a_point(context: int) -> None:
    torch.manual_seed(0)
    node = {"name": "flow", "flow": "real-nvp", "steps": 2, "context": context, "network": {"name": "mlp", "hidden": [8]}}
    encoder = ENCODERS.build(ENCODERS.resolve(node, "e"), (4,), (3,)).double()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.3)
    x, z = torch.randn(50, 4).double(), torch.randn(20, 3).double()
    law = encoder(x).detached()
    book = Codebook([law], None, 50) if context else Codebook([law.base], law, 50)
    assert isinstance(law, Flowed)
    one_by_one = torch.stack([encoder(x[i : i + 1]).log_prob(z) for i in range(50)]).logsumexp(0) - math.log(50)
    torch.testing.assert_close(book.log_density(z), one_by_one.detach(), atol=1e-8, rtol=1e-10)


def test_neighbours_are_the_nearest_of_all_chunks() -> None:
    rng = np.random.default_rng(0)
    data, x = rng.random((230, 1, 4, 4), np.float32), rng.random((12, 1, 4, 4), np.float32)
    x[3] = data[199]

    def chunks() -> Iterator[Batch]:
        yield from (Batch(torch.as_tensor(part)) for part in np.split(data, [100, 200]))

    nearest, distances, images = nearest_examples(x, chunks())
    every = cdist(x.reshape(12, -1), data.reshape(230, -1))
    assert (nearest == every.argmin(1)).all()
    assert set(nearest // 100) == {0, 1, 2}, "every chunk has some"
    np.testing.assert_allclose(distances, every.min(1), atol=1e-6)
    assert (images == data[nearest]).all()


@pytest.mark.spec("DM52")
def test_far_from_the_posteriors_neighbours_cost_more_than_uniform_data(found: dict[str, np.ndarray]) -> None:
    """With q(z) = m(z) draws of little density are far out, and so is the data nearest to what they are decoded to."""
    told = numbers(found)
    neighbours, uniform = told["neighbours_rate"], told["uniform_rate"]
    assert neighbours["mean"] - uniform["mean"] > 4 * (neighbours["stderr"] + uniform["stderr"])
    assert told["neighbours_neg_elbo"]["mean"] > told["uniform_neg_elbo"]["mean"]
    exact, _ = world(1.0)
    for name, truth in (("rate", exact.rate), ("neg_elbo", exact.rate + exact.distortion)):
        assert abs(told[f"uniform_{name}"]["mean"] - float(truth)) < 4 * told[f"uniform_{name}"]["stderr"]
    for group in GROUPS:
        assert found[f"{group}_pixels"].sum() == pytest.approx(1.0)
    assert len(found["map"]) == len(found["map_group"]) == 500 + 500 + 40


def test_pixels_and_groups_are_those_of_the_examples_they_name(found: dict[str, np.ndarray]) -> None:
    _, dataset = world(1.0, n=3000)
    both = np.concatenate([dataset.train.x, dataset.validation.x])
    assert (found["neighbours"] == both[found["nearest"]]).all()
    assert {tuple(row) for row in found["uniform"]} <= {tuple(row) for row in both}
    clipped = np.clip(found["samples"], found["edges"][0], found["edges"][-1])
    assert (found["samples_pixels"] == np.histogram(clipped, found["edges"])[0] / clipped.size).all()


def test_the_cost_of_an_example_is_exact_where_it_has_a_closed_form() -> None:
    """Of a Gaussian against N(0, I): the same from any draws, and the law's own KL."""
    exact, dataset = world(1.0, n=20)
    model = linear_model(exact, dataset)
    with torch.no_grad():
        (_, once), (_, twice) = (worth(model, dataset.test.x, LiveNoise(seed)) for seed in (0, 1))
        law = model(Batch(torch.as_tensor(dataset.test.x)), LiveNoise(0)).layers[0].encoder
    assert isinstance(law, DiagonalGaussian)
    truth = 0.5 * (law.loc.square() + law.scale.square() - 1 - 2 * law.log_scale).sum(-1)
    np.testing.assert_array_equal(once, twice)
    np.testing.assert_allclose(once, truth, atol=1e-5)


def test_means_are_scored_as_values_that_the_data_can_take() -> None:
    x = np.array([0.2, 0.5, 0.7001], np.float32)
    assert possible(x, Support.BINARY).tolist() == [0, 1, 1]
    np.testing.assert_allclose(possible(x, Support.LEVELS) * 255, [51, 128, 179], atol=1e-4)
    assert possible(x, Support.UNIT) is x


def test_models_and_numbers_that_allow_no_analysis_are_told_so() -> None:
    exact, dataset = world(1.0, n=50)
    model = linear_model(exact, dataset)
    with pytest.raises(UserError, match="60 low-posterior samples of 50 draws: give at least 1, and no more than the draws"):
        low_posterior(model, dataset, seed=0, draws=50, count=60)
    layered = {"name": "hierarchy", "latent_dim": [2, 3], "decoder": {"name": "gaussian"}}
    with pytest.raises(UserError, match="one layer of latents"):
        low_posterior(MODELS.build(MODELS.resolve(layered, "model"), dataset), dataset, seed=0, draws=50, count=5)
    blind = {"name": "vae", "latent_dim": 2, "encoder": "deterministic", "decoder": {"name": "gaussian"}}
    with pytest.raises(UserError, match="need the density of the encoder"):
        low_posterior(MODELS.build(MODELS.resolve(blind, "model"), dataset), dataset, seed=0, draws=50, count=5)

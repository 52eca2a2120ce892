"""Models made elsewhere: their numbers are those of the same model of ours, and of closed forms."""

from typing import Any

import numpy as np
import pytest
import torch
from linear import linear_model, world
from torch import Tensor, nn
from torch.distributions import Bernoulli, Independent, Laplace, MultivariateNormal, Normal

import ratelab as rl
from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.errors import UserError
from ratelab.distributions.foreign import ForeignLaw
from ratelab.estimators import ESTIMATORS
from ratelab.evaluation import evaluate

MORE = ["rate-distortion", {"name": "iwae", "samples": 20}, "marginal-kl", {"name": "ais", "temperatures": 5, "chains": 2}]


@pytest.mark.parametrize("pair", [True, False])
def test_it_is_the_same_model(pair: bool) -> None:
    """The same laws, the same draws: number for number what a model of ours gives."""
    exact, dataset = world(2.0, n=300)
    ours = linear_model(exact, dataset)
    weight, variance = exact.encoder_weight.float(), exact.encoder_covariance.diagonal().float()

    def encoder(x: Tensor) -> Normal | tuple[Tensor, Tensor]:
        mean = x @ weight.T + exact.encoder_bias.float()
        spread = variance.expand(mean.shape)
        return (mean, spread.log()) if pair else Independent(Normal(mean, spread.sqrt()), 1)

    def decoder(z: Tensor) -> Normal:
        return Normal(z @ exact.decoder_weight.float().T + exact.decoder_bias.float(), float(exact.sigma2) ** 0.5)

    found = rl.measure(encoder, decoder, None, dataset.test.x, estimators=MORE)
    expected, _ = evaluate(ours, dataset, "test", [ESTIMATORS.resolve(node, "e") for node in MORE], seed=0)
    assert found.keys() == expected.keys()
    for name, estimate in expected.items():
        if not isinstance(estimate, list):
            # A transition that is all but a toss-up may be accepted on one side only: sums are taken in another order.
            assert found[name].value == pytest.approx(estimate.value, abs=2e-2 if name.startswith("ais") else 2e-3), name
            assert (found[name].bound, found[name].of) == (estimate.bound, estimate.of)


def test_modules_and_other_laws_are_taken() -> None:
    """A full-covariance encoder, a Bernoulli decoder, a Laplace marginal: the rate by quadrature-free algebra, -ELBO >= IWAE."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 12))
    x = (np.random.default_rng(0).random((400, 3, 4)) < 0.4).astype(np.float32)

    def encoder(x: Tensor) -> MultivariateNormal:
        return MultivariateNormal(x.flatten(1)[:, :2], torch.tensor([[0.5, 0.2], [0.2, 0.4]]))

    def decoder(z: Tensor) -> Bernoulli:
        return Bernoulli(logits=net(z).unflatten(-1, (3, 4)))

    marginal = Laplace(torch.zeros(2), torch.ones(2))
    found = rl.measure(encoder, decoder, marginal, x, estimators=MORE)
    assert found["iwae"].of == found["neg_elbo"].of == "negative log-likelihood"
    assert found["iwae"].value < found["neg_elbo"].value
    assert abs(found["iwae"].value - found["ais"].value) < 1
    draws = np.random.default_rng(1).multivariate_normal([0, 0], [[0.5, 0.2], [0.2, 0.4]], 100_000)
    means = x.reshape(400, -1)[:, :2]
    entropy = 0.5 * np.log(np.linalg.det(2 * np.pi * np.e * np.array([[0.5, 0.2], [0.2, 0.4]])))
    cross = np.mean([np.abs(draws[:20_000] + mean).sum(1).mean() for mean in means]) + 2 * np.log(2)
    assert abs(found["rate"].value - (cross - entropy)) < 4 * found["rate"].stderr
    assert found["rate"].value == rl.measure(encoder, decoder, marginal, x)["rate"].value, "the seed decides"


def test_a_wrapped_law_scores_and_draws_as_the_law_does() -> None:
    law = Laplace(torch.arange(6.0).reshape(6, 1).expand(6, 2), 0.5)
    wrapped = ForeignLaw(law, (2, 3), (2,))
    value = torch.randn(3, 2)
    expected = law.log_prob(value.expand(2, 3, 2).reshape(6, 2)).sum(-1).reshape(2, 3)
    assert torch.allclose(wrapped.log_prob(value), expected)
    draws = wrapped.draw(LiveNoise(0), 5000).value
    assert draws.shape == (5000, 2, 3, 2)
    assert ((draws.mean(0) - wrapped.mean).abs() < 4 * 0.5 * 2**0.5 / 5000**0.5).all()
    assert torch.equal(draws, wrapped.draw(LiveNoise(0), 5000).value)
    single = ForeignLaw(Laplace(torch.zeros(2), 1.0), (), (2,))
    assert single.log_prob(torch.zeros(4, 3, 2)).shape == (4, 3)
    assert Batch(draws[0, 0]).size == 3


def normal(shape: tuple[int, ...]) -> Normal:
    return Normal(torch.zeros(shape), torch.ones(shape))


@pytest.mark.parametrize(
    ("encoder", "decoder", "marginal", "x", "says"),
    [
        (lambda x: x, lambda z: normal((len(z), 3)), None, np.zeros((4, 3)), "encoder: expected a law"),
        (lambda x: normal((len(x), 2)), lambda z: z, None, np.zeros((4, 3)), "decoder: expected a law"),
        (lambda x: normal((len(x), 2)), lambda z: normal((len(z), 5)), None, np.zeros((4, 3)), "decoder: a law over"),
        (lambda x: normal((len(x), 2)), lambda z: normal((len(z), 3)), normal((7,)), np.zeros((4, 3)), "marginal: a law over"),
        (lambda x: normal((len(x), 2)), lambda z: normal((len(z), 3)), None, np.zeros(4), "X: expected examples"),
        (lambda x: normal((len(x), 2)), lambda z: normal((len(z), 3)), None, np.full((4, 3), np.nan), "X: it holds NaN"),
        (
            lambda x: normal((len(x), 2)), lambda z: Bernoulli(torch.full((len(z), 3), 0.5)), None, np.full((4, 3), 0.5),
            "outside its support",
        ),
    ],
)  # fmt: skip
def test_parts_that_do_not_fit_are_one_line(encoder, decoder, marginal, x, says) -> None:
    with pytest.raises(UserError, match=says):
        rl.measure(encoder, decoder, marginal, x)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"batch_size": 0}, "batch_size: 0 is too few"),
        ({"estimators": ["iwae", "iwae"]}, "'iwae' is listed twice"),
        ({"y": [0.5] * 20}, "y: expected 20 integer labels"),
        ({"y": [1, 2]}, "y: expected 20 integer labels"),
        ({"X": [["a", "b"]]}, "X: expected an array of numbers"),
    ],
)
def test_what_is_asked_of_a_model_in_vain_is_one_line(options: dict[str, Any], says: str) -> None:
    given = {"X": np.zeros((20, 3)), **options}
    with pytest.raises(UserError, match=says):
        rl.measure(lambda x: Normal(0 * x, 1.0 + 0 * x), lambda z: Normal(0 * z, 1.0 + 0 * z), None, **given)


def test_labels_and_one_estimator_by_its_name_are_taken() -> None:
    x = np.random.default_rng(0).normal(size=(40, 3))
    y = (x[:, 0] > 0).astype(int)
    found = rl.measure(
        lambda x: Normal(x, 0.1 + 0 * x), lambda z: Normal(z, 1.0 + 0 * z), None, x, y=y, estimators="label-information"
    )
    assert all(0.3 < each.value < 0.8 for each in np.ravel(found["label_information"]))  # near log 2

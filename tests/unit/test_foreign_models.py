"""Models made elsewhere: their numbers are those of the same model of ours, and of closed forms."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from linear import linear_model, world
from torch import Tensor, nn
from torch.distributions import (
    Bernoulli,
    Independent,
    Laplace,
    MultivariateNormal,
    Normal,
    OneHotCategorical,
    SigmoidTransform,
    TransformedDistribution,
)

import ratelab as rl
from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.errors import UserError
from ratelab.core.estimate import Estimate
from ratelab.distributions.foreign import ForeignLaw
from ratelab.estimators import ESTIMATORS
from ratelab.evaluation import evaluate
from ratelab.evaluation.foreign import UNKNOWN, explained

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


def unchecked(mean: Tensor, sigma: float) -> Normal:
    return Normal(mean, torch.full_like(mean, sigma), validate_args=False)


def unit(x: Tensor) -> Normal:
    return Normal(0 * x, 1.0 + 0 * x)


def gaussian(z: Tensor) -> Normal:
    return Normal(z, 1.0 + 0 * z)


def one_hot(x: Tensor) -> OneHotCategorical:
    return OneHotCategorical(logits=x)


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
        (3, gaussian, None, np.zeros((4, 3)), "encoder: expected a function or module that returns a law, got int"),
        (unit, None, None, np.zeros((4, 3)), "decoder: expected a function or module that returns a law, got NoneType"),
        (unit, gaussian, "normal", np.zeros((4, 3)), r"marginal: expected a law over \(3,\), or None for N\(0, I\), got str"),
        (lambda x: (x, x[:, :2]), gaussian, None, np.zeros((4, 3)), r"mean and log variance have shapes \(1, 3\) and \(1, 2\)"),
        (lambda x: (x, x[:, :1]), gaussian, None, np.zeros((4, 3)), "mean and log variance have shapes"),
        (lambda x: (x + 1j, x), gaussian, None, np.zeros((4, 3)), "mean and log variance are torch.complex64"),
        (lambda x: normal((7, 3)), gaussian, None, np.zeros((4, 3)), r"encoder: a law over \(7, 3\) for 1 examples"),
        (lambda x: normal((1, 3)), gaussian, None, np.zeros((4, 3)), r"encoder: a law over \(1, 3\) for 4 examples"),
        (unit, lambda z: normal((1, 3)), None, np.zeros((4, 3)), r"decoder: a law over \(1, 3\), expected \(4, 3\)"),
        (nn.Linear(7, 3), gaussian, None, np.zeros((4, 3)), r"encoder: RuntimeError on torch.float32 of shape \(1, 3\)"),
        (unit, nn.Linear(7, 3), None, np.zeros((4, 3)), r"decoder: RuntimeError on torch.float32 of shape \(1, 3\)"),
        (lambda x: (x * np.nan, x), gaussian, None, np.zeros((4, 3)), "encoder: its latents are NaN or infinite"),
        (lambda x: (x, x + 1e4), gaussian, None, np.zeros((4, 3)), "encoder: its latents are NaN or infinite"),
        (lambda x: unchecked(x, -1.0), gaussian, None, np.zeros((4, 3)), "encoder: its log-density is NaN"),
        (unit, lambda z: unchecked(z * np.nan, 1.0), None, np.zeros((4, 3)), "decoder: its log-density is NaN"),
        (unit, gaussian, unchecked(torch.zeros(3), np.nan), np.zeros((4, 3)), "marginal: its log-density is NaN"),
        (one_hot, gaussian, None, np.zeros((4, 3)), "marginal: a continuous law, but the encoder's latents are discrete"),
        (unit, gaussian, OneHotCategorical(torch.ones(3)), np.zeros((4, 3)), "marginal: a discrete law, but the encoder's"),
    ],
)  # fmt: skip
def test_parts_that_do_not_fit_are_one_line(encoder, decoder, marginal, x, says) -> None:
    with pytest.raises(UserError, match=says):
        rl.measure(encoder, decoder, marginal, x)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"batch_size": 0}, "batch_size: expected a whole number of at least 1, got 0"),
        ({"batch_size": 2.5}, "batch_size: expected a whole number of at least 1, got 2.5"),
        ({"batch_size": True}, "batch_size: expected a whole number of at least 1, got True"),
        ({"seed": "a"}, "seed: expected a whole number of at least 0, got 'a'"),
        ({"seed": 1.5}, "seed: expected a whole number of at least 0, got 1.5"),
        ({"seed": -1}, "seed: expected a whole number of at least 0, got -1"),
        ({"estimators": None}, "estimators: expected names, e.g. .*, got None"),
        ({"estimators": []}, "estimators: expected names"),
        ({"estimators": ["iwae", "all"]}, "estimators: 'all' is for runs; name what to measure"),
        ({"estimators": {"name": "all"}}, "estimators: 'all' is for runs; name what to measure"),
        ({"estimators": ["iwae", "iwae"]}, "'iwae' is listed twice"),
        ({"y": [0.5] * 20}, "y: expected 20 integer labels"),
        ({"y": [1, 2]}, "y: expected 20 integer labels"),
        ({"X": [["a", "b"]]}, "X: expected an array of numbers"),
        ({"X": [["1", "2"]]}, "X: expected an array of numbers .*, got <U1"),
        ({"X": np.ones((4, 3)) + 1j}, "X: expected an array of numbers .*, got complex128"),
        ({"X": torch.ones(4, 3) + 1j}, "X: expected an array of numbers .*, got complex64"),
        ({"X": np.full((4, 3), 1e300)}, "numbers beyond float32"),
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


@pytest.mark.parametrize("rename", [lambda y: y - 1, lambda y: y * 10**9, lambda y: torch.as_tensor(y)])
def test_labels_are_names_alone(rename: Callable) -> None:
    x = np.random.default_rng(0).normal(size=(40, 3))
    y = np.arange(40) % 4
    found = [rl.measure(unit, gaussian, None, x, y=labels, estimators="label-information") for labels in (y, rename(y))]
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16])
def test_a_tensor_of_any_history_and_precision_is_taken(kind: torch.dtype) -> None:
    x = torch.arange(12.0).reshape(4, 3)
    assert rl.measure(unit, gaussian, None, x.to(kind).requires_grad_()) == rl.measure(unit, gaussian, None, x.numpy())


def test_a_batch_may_be_larger_than_what_there_is() -> None:
    x = np.arange(12.0).reshape(4, 3)
    assert rl.measure(unit, gaussian, None, x, batch_size=10**30) == rl.measure(unit, gaussian, None, x, batch_size=np.int64(4))


@pytest.mark.parametrize("estimator", ["ais", "annealed-curve", "bidirectional"])
def test_discrete_latents_are_not_moved(estimator: str) -> None:
    with pytest.raises(UserError, match="moves latents continuously, and these are discrete; use 'iwae'"):
        rl.measure(one_hot, gaussian, OneHotCategorical(torch.ones(3)), np.zeros((4, 3)), estimators=estimator)


def test_a_mean_that_a_law_does_not_state_is_one_line() -> None:
    def decoder(z: Tensor) -> TransformedDistribution:
        return TransformedDistribution(Normal(z, 1.0), [SigmoidTransform()])

    with pytest.raises(UserError, match="a TransformedDistribution law states no mean"):
        rl.measure(unit, decoder, None, np.full((4, 3), 0.5), estimators="psnr")


def test_what_only_some_estimators_score_is_not_refused_for_others() -> None:
    """Grey values are outside a Bernoulli law's support, which matters only where it scores them."""
    found = rl.measure(
        unit, lambda z: Bernoulli(logits=z), None, np.full((40, 3), 0.5), y=np.arange(40) % 2, estimators="label-information"
    )
    assert np.isfinite(found["label_information"].value)


def test_an_unknown_value_has_a_reason() -> None:
    unknown = Estimate(np.nan, np.nan, 4, of="rate")
    assert explained(unknown).why == explained([unknown])[0].why == UNKNOWN
    told = Estimate(np.nan, np.nan, 4, of="rate", why="no density")
    known = Estimate(1.0, 0.1, 4, of="rate")
    assert explained([told, known]) == [told, known]

"""Likelihood estimators against models whose evidence is known: importance weighting, annealing from both sides, Parzen windows."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from linear import linear_model, world

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.estimators import ESTIMATORS
from ratelab.estimators.annealing import Annealing, sigmoid_schedule
from ratelab.estimators.hmc import State, transition
from ratelab.estimators.latent_paths import from_encoder
from ratelab.estimators.parzen import crosswise, window_scores
from ratelab.evaluation import check_estimators, evaluate
from ratelab.exact.linear_gaussian import LinearGaussianVAE
from ratelab.models import MODELS


def bad_encoder(seed: int = 0, n: int = 300) -> tuple[LinearGaussianVAE, Dataset, Model]:
    """A linear-Gaussian VAE whose encoder is far from the posterior: biased and of the wrong width."""
    exact, dataset = world(0.5, n=n, seed=seed)
    worse = LinearGaussianVAE(
        exact.mean, exact.covariance, 0.6 * exact.encoder_weight, exact.encoder_bias + 0.2,
        1.3 * exact.encoder_covariance, exact.decoder_weight, exact.decoder_bias, exact.sigma2,
    )  # fmt: skip
    return worse, dataset, linear_model(worse, dataset)


def measured(model: Model, dataset: Dataset, seed: int = 0, **node: object) -> tuple[dict, dict]:
    return evaluate(model, dataset, "test", [ESTIMATORS.resolve(node, "e")], seed=seed)


def truth(exact: LinearGaussianVAE, x: np.ndarray) -> np.ndarray:
    return -exact.log_evidence(torch.as_tensor(x).double()).numpy()


@pytest.mark.spec("VF30")
@pytest.mark.parametrize(
    "node",
    [
        {"name": "iwae", "samples": 1},
        {"name": "iwae", "samples": 3, "chunk": 2},
        {"name": "ais", "chains": 1, "temperatures": 10, "leapfrogs": 3},
        {"name": "ais", "chains": 3, "temperatures": 10, "leapfrogs": 3, "start": "marginal"},
    ],
    ids=str,
)
def test_the_mean_weight_is_the_evidence_and_its_logarithm_lies_below(node: dict) -> None:
    """20000 independent estimates of p(x) for one x: their mean is p(x), the mean of their logarithms is less."""
    exact, dataset, model = bad_encoder()
    n, x = 20000, dataset.test.x[:1]
    split = Split(np.repeat(x, n, 0))
    _, arrays = measured(model, Dataset("one x", Support.REAL, split, split, split), **node)
    log_ratio = float(truth(exact, x)[0]) - arrays[node["name"]]
    ratio = np.exp(log_ratio)
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / n**0.5
    assert ratio.std() < 30, "the standard error above means something"
    assert log_ratio.mean() < -4 * log_ratio.std() / n**0.5


@pytest.mark.spec("VF30")
def test_importance_weighting_defaults_to_five_thousand_samples_and_holds_a_chunk_of_them() -> None:
    assert ESTIMATORS.resolve("iwae", "e")["samples"] == 5000
    _, dataset, model = bad_encoder(n=3)
    held: list[int] = []

    class Watched(torch.nn.Module):
        def forward(self, z: torch.Tensor) -> torch.Tensor:
            held.append(z.shape[0])
            return inner(z)

    inner, model.decoder.network = model.decoder.network, Watched()
    found, _ = measured(model, dataset, name="iwae", samples=1001, chunk=50)
    assert max(held) == 50
    assert sum(held) - held[0] == 1001, "the trial before it draws once"
    assert found["iwae"].n == 3


@pytest.mark.spec("VF53")
def test_the_bound_tightens_with_samples_and_what_is_gained_is_what_the_encoder_lost() -> None:
    exact, dataset, model = bad_encoder(n=2000)
    found = [measured(model, dataset, name="iwae", samples=k)[0] for k in (1, 3, 10, 30, 300)]
    values = [each["iwae"].value for each in found]
    assert all(second < first for first, second in pairwise(values))
    assert found[0]["iwae_gain"].value == pytest.approx(0.0, abs=1e-5), "one sample is the ELBO itself"
    evidence = float(truth(exact, dataset.test.x).mean())
    assert evidence < values[-1] < evidence + 0.2 * (values[0] - evidence), "most of what the encoder lost is won back"
    gain = found[-1]["iwae_gain"]
    assert gain.value + values[-1] == pytest.approx(values[0], abs=5 * found[0]["iwae"].stderr), "neg_elbo, on more draws"
    lost = values[0] - evidence
    assert 0.7 * lost < gain.value < lost + 5 * found[0]["iwae"].stderr
    assert gain.bound == "lower"


def test_importance_weighting_takes_every_third_example_with_what_belongs_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the exact posterior each weight is the evidence itself; examples are taken two at a time."""
    monkeypatch.setattr("ratelab.estimators.iwae.ROWS", 8)
    exact, dataset = world(1.0, n=20)
    estimator = ESTIMATORS.build(ESTIMATORS.resolve({"name": "iwae", "samples": 9, "chunk": 4, "every": 3}, "e"))
    batch = Batch(torch.as_tensor(dataset.test.x[:20]), torch.arange(100, 120))
    with torch.no_grad():
        estimator.observe(linear_model(exact, dataset), batch, LiveNoise(0))
    np.testing.assert_allclose(estimator.bound.values, truth(exact, dataset.test.x[:20])[2::3], atol=1e-4)
    found = estimator.result()
    assert found["iwae"].n == found["iwae_gain"].n == 6
    assert found["iwae_gain"].value == pytest.approx(0.0, abs=1e-4), "nothing is lost by the exact posterior"
    assert estimator.per_example() == {}, "rows of the others would be missing"


@pytest.mark.parametrize("start", ["encoder", "marginal"])
def test_annealing_tightens_with_temperatures_and_never_crosses_the_evidence(start: str) -> None:
    exact, dataset, model = bad_encoder(n=200)
    nll = truth(exact, dataset.test.x)
    gaps = []
    for temperatures in (2, 15, 150):
        found, arrays = measured(model, dataset, name="ais", start=start, chains=2, temperatures=temperatures, leapfrogs=4)
        gap = arrays["ais"] - nll
        assert gap.mean() > -4 * gap.std() / 200**0.5
        gaps.append(gap.mean())
    assert gaps[0] > 2 * gaps[1] > 2 * gaps[2]
    assert gaps[2] < 0.1
    assert found["ais"].bound == "upper"
    assert 0.6 < found["ais_acceptance"].value < 0.95
    assert 1.5 < found["ais_chains"].value <= 2


def test_annealing_from_both_sides_brackets_the_likelihood_of_drawn_data() -> None:
    """Each side is tried where it is loose: one chain, few temperatures."""
    exact, dataset, model = bad_encoder(n=1000)
    entropy = 0.5 * float(torch.logdet(2 * math.pi * math.e * exact.model_covariance))
    gaps = []
    for temperatures in (3, 100):
        found, _ = measured(model, dataset, name="bidirectional", chains=1, temperatures=temperatures, leapfrogs=3)
        upper, lower, gap = (found[f"bidirectional_{side}"] for side in ("upper", "lower", "gap"))
        assert (upper.bound, lower.bound) == ("upper", "lower")
        assert lower.value - 4 * lower.stderr < entropy < upper.value + 4 * upper.stderr
        assert gap.value > 4 * gap.stderr
        gaps.append(gap.value)
    assert gaps[1] < 0.3 * gaps[0]
    assert gaps[1] < 0.1


def test_each_side_of_the_bracket_is_on_its_side_of_the_same_draws() -> None:
    exact, _, model = bad_encoder(n=1000)
    with torch.no_grad():
        noise = LiveNoise(5)
        drawn = model.generate(1000, noise)
        nll = truth(exact, drawn.target.numpy())
        path = from_encoder(model, drawn.target, noise)
        annealing = Annealing(sigmoid_schedule(3), 3)
        steps = annealing.steps(path, noise)
        upper = -annealing.forward(path, steps, 1, noise).log_mean.numpy() - nll
        lower = -annealing.backward(path, steps, drawn.layers[0].z, noise).log_harmonic_mean.numpy() - nll
    assert upper.mean() > 4 * upper.std() / 1000**0.5
    assert lower.mean() < -4 * lower.std() / 1000**0.5


def test_a_transition_leaves_its_law_invariant() -> None:
    """Exact draws of the posterior of one example, moved many times with a coarse step, keep its mean and covariance."""
    exact, dataset, model = bad_encoder()
    x = torch.as_tensor(dataset.test.x[:1])
    mean, covariance = exact.model_posterior(x[0].double())
    n = 20000
    generator = torch.Generator().manual_seed(0)
    z = mean + torch.randn(n, 3, generator=generator, dtype=torch.float64) @ torch.linalg.cholesky(covariance).mT
    noise = LiveNoise(2)
    with torch.no_grad():
        path = from_encoder(model, x, noise)
        state = State.at(path, z.float().unsqueeze(1))
        for _ in range(5):
            state, accepted = transition(path, state, 1.0, 1.5, 3, noise)
    assert 0.2 < float(accepted.mean()) < 0.95
    moved = state.z[:, 0].double()
    assert bool(((moved.mean(0) - mean).abs() < 4 * (covariance.diagonal() / n).sqrt()).all())
    spread = (moved - mean).T @ (moved - mean) / n
    error = ((covariance.diagonal().outer(covariance.diagonal()) + covariance**2) / n).sqrt()
    assert bool(((spread - covariance).abs() < 4 * error).all())


def test_the_annealed_curve_lies_on_the_decoders_best_channels() -> None:
    """m(z) d(x|z)^b is Gaussian: its rate and distortion are known, for every x."""
    exact, dataset, model = bad_encoder(n=200)
    betas = (0.3, 1.0, 3.0)
    found, _ = measured(model, dataset, name="annealed-curve", betas=betas, chains=4, temperatures=120, leapfrogs=3)
    x = torch.as_tensor(dataset.test.x).double()
    for b, rate, distortion in zip(betas, found["annealed_rates"], found["annealed_distortions"], strict=True):
        cooled = LinearGaussianVAE(
            exact.mean, exact.covariance, exact.encoder_weight, exact.encoder_bias, exact.encoder_covariance,
            exact.decoder_weight, exact.decoder_bias, exact.sigma2 / b,
        )  # fmt: skip
        mean, covariance = cooled.model_posterior(x)
        best = LinearGaussianVAE(
            exact.mean, exact.covariance, torch.zeros(3, 3), torch.zeros(3), covariance,
            exact.decoder_weight, exact.decoder_bias, exact.sigma2,
        )  # fmt: skip
        residual = x - mean @ exact.decoder_weight.mT - exact.decoder_bias
        noise = torch.trace(exact.decoder_weight @ covariance @ exact.decoder_weight.mT)
        true_distortion = 1.5 * math.log(2 * math.pi * float(exact.sigma2)) + (residual.square().sum(-1) + noise) / (
            2 * exact.sigma2
        )
        true_rate = best.rates(torch.zeros(1, 3, dtype=torch.float64)) + 0.5 * mean.square().sum(-1)
        # One point's rate and distortion err together; above the curve is what is claimed.
        above = (rate.value + b * distortion.value) - float((true_rate + b * true_distortion).mean())
        assert -0.01 < above < 0.15, b
        one_draw = 1.5**0.5 / b  # standard deviation of -log d along the channel: b times it is half a chi-square of 3
        assert abs(distortion.value - float(true_distortion.mean())) < 4 * one_draw / 400**0.5
        assert rate.bound == distortion.bound == "estimate"  # of the sum alone a side is known


def test_a_parzen_window_is_the_kernel_density_estimate() -> None:
    from scipy.stats import multivariate_normal

    rng = np.random.default_rng(0)
    x, centres = rng.normal(size=(5, 3)), rng.normal(size=(40, 3))
    found = window_scores(torch.as_tensor(x), torch.as_tensor(centres), (0.2, 0.7))
    for row, sigma in zip(found, (0.2, 0.7), strict=True):
        each = [sum(multivariate_normal.pdf(point, c, sigma**2) for c in centres) for point in x]
        np.testing.assert_allclose(row, np.log(each), rtol=1e-10)


@pytest.mark.spec("IM22")
def test_parzen_on_a_model_that_is_a_gaussian_is_the_smoothed_gaussian() -> None:
    """Decoder means are N(c, A A'): the window adds sigma^2 and, with many samples, little error."""
    exact, dataset, model = bad_encoder(n=500)
    sigma = 0.5
    found, arrays = measured(model, dataset, name="parzen", samples=20000, sigmas=[sigma])
    smooth = LinearGaussianVAE(
        exact.mean, exact.covariance, exact.encoder_weight, exact.encoder_bias, exact.encoder_covariance,
        exact.decoder_weight, exact.decoder_bias, torch.tensor(sigma**2),
    )  # fmt: skip
    nll = truth(smooth, dataset.test.x)
    assert abs(float((arrays["parzen"] - nll).mean())) < 0.02
    assert found["parzen"].bound == "estimate"
    chosen, _ = measured(model, dataset, name="parzen", samples=2000)
    each = [measured(model, dataset, name="parzen", samples=2000, sigmas=[s])[0]["parzen"].value for s in (0.05, 0.25, 1.0)]
    assert chosen["parzen"].value < min(each) + 0.02, "the width that suits the data is chosen"


@pytest.mark.spec("IM22")
def test_no_example_chooses_the_width_it_is_scored_with() -> None:
    """Even examples are likeliest under the first width, odd ones under the second: each half is scored with the other's."""
    scores = np.array([[1.0, 5.0, 2.0, 6.0], [0.0, 7.0, 0.0, 8.0]])
    assert crosswise(scores).tolist() == [0.0, 5.0, 0.0, 6.0]


def states_world() -> tuple[Model, Dataset]:
    split = Split(np.arange(4, dtype=np.float32))
    dataset = Dataset("states", Support.REAL, split, split, split)
    return MODELS.build(MODELS.resolve({"name": "tables", "states": 4, "latent_states": 3}, "m"), dataset), dataset


@pytest.mark.parametrize("name", ["iwae", "ais", "bidirectional", "annealed-curve"])
def test_what_a_model_lacks_is_said_in_one_line_before_anything_is_measured(name: str) -> None:
    from toys import build

    def refusal(model: Model, dataset: Dataset, **options: object) -> str:
        node = ESTIMATORS.resolve({"name": name, **options}, "e")
        line = check_estimators(model, dataset, [node]).get(name, "")
        if line:
            with pytest.raises(UserError, match=r"leave it out|use"):
                evaluate(model, dataset, "test", [node], seed=0)
        return line

    assert "enumerates" in refusal(*states_world())
    assert ("discrete" in refusal(*build("vae, categorical"))) == (name != "iwae")
    assert ("density of the encoder" in refusal(*build("vae, implicit"))) == (name == "iwae")
    assert ("several" in refusal(*build("hierarchy of two"))) == (name == "annealed-curve")
    if name in ("ais", "bidirectional"):
        assert "several" in refusal(*build("hierarchy of two"), start="marginal")


@pytest.mark.parametrize(
    ("node", "says"),
    [
        ({"name": "iwae", "samples": 0}, "samples"),
        ({"name": "iwae", "every": 0}, "every"),
        ({"name": "ais", "chains": 0}, "chains"),
        ({"name": "parzen", "sigmas": []}, "sigmas"),
        ({"name": "ais", "start": "prior"}, "start"),
    ],
)
def test_options_out_of_range_are_refused(node: dict, says: str) -> None:
    with pytest.raises(UserError, match=says):
        ESTIMATORS.resolve(node, "e")

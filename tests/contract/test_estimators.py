"""Estimators against models whose answer is known: linear-Gaussian VAEs, whose rates, distortions and evidence are exact."""

import math

import numpy as np
import pytest
import torch
from linear import linear_model, world
from toys import CASES, NO_RATE, build, known_critic

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.core.estimate import Estimate
from ratelab.core.model import Model
from ratelab.estimators import ESTIMATORS
from ratelab.estimators.inception_distance import InceptionDistance
from ratelab.evaluation import check_estimators, evaluate
from ratelab.evaluation.measure import built
from ratelab.models import MODELS


def measured(model: Model, dataset: Dataset, *nodes: object) -> tuple[dict, dict]:
    resolved = [ESTIMATORS.resolve(node, "estimators") for node in nodes]
    return evaluate(model, dataset, "test", resolved, seed=0)


@pytest.mark.spec("VF03", "RD02", "RD03", "RD04")
@pytest.mark.parametrize("beta", [0.25, 1.0, 2.0])
def test_rate_and_distortion_match_the_closed_form_within_four_standard_errors(beta: float) -> None:
    exact, dataset = world(beta)
    found, arrays = measured(linear_model(exact, dataset), dataset, "rate-distortion")
    for name, truth in (("rate", exact.rate), ("distortion", exact.distortion), ("neg_elbo", exact.rate + exact.distortion)):
        estimate = found[name]
        assert isinstance(estimate, Estimate)
        assert abs(estimate.value - float(truth)) < 4 * estimate.stderr, name
        assert estimate.n == len(dataset.test)
    assert np.allclose(arrays["neg_elbo"], arrays["rate"] + arrays["distortion"])
    assert found["neg_elbo"].bound == "upper"
    assert found["rate"].value >= float(exact.encoder_information) - 4 * found["rate"].stderr


def test_bounds_lie_on_the_side_they_claim_and_tighten_with_more_samples() -> None:
    exact, dataset = world(2.0, n=1000)
    model = linear_model(exact, dataset)
    truth = -float(exact.log_evidence(torch.as_tensor(dataset.test.x).double()).mean())
    bounds = {}
    for k in (1, 10, 200):
        found, _ = measured(model, dataset, {"name": "iwae", "samples": k, "chunk": 64})
        bounds[k] = found["iwae"]
        assert found["iwae"].bound == "upper"
        assert found["iwae"].value > truth - 4 * found["iwae"].stderr / 10  # the same x on both sides: only z is random
    assert bounds[1].value > bounds[10].value > bounds[200].value
    assert bounds[200].value - truth < 0.02


def test_importance_weights_do_not_depend_on_the_chunk() -> None:
    exact, dataset = world(2.0, n=50)
    model = linear_model(exact, dataset)
    a = measured(model, dataset, {"name": "iwae", "samples": 40000, "chunk": 1000})[0]["iwae"]
    b = measured(model, dataset, {"name": "iwae", "samples": 40000, "chunk": 777})[0]["iwae"]
    assert abs(a.value - b.value) < 2e-3


CHEAP: dict[str, dict] = {
    "iwae": {"samples": 7, "chunk": 3},
    "ais": {"chains": 2, "temperatures": 3},
    "bidirectional": {"chains": 2, "temperatures": 3},
    "annealed-curve": {"chains": 2, "temperatures": 3},
    "parzen": {"samples": 50},
    "inception-score": {"samples": 20},
    "fid": {"samples": 20},
}
ONE_LAYER = ("annealed-curve",)


class Features(torch.nn.Module):
    """Three numbers of an image, where an Inception network gives 2048."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([x.flatten(1)[:, i::3].sum(-1) for i in range(3)], -1)


class Judge(torch.nn.Module):
    """A classifier of three classes, a critic and a density of codes that were never trained."""

    event_shape, classes = (1, 8, 8), 3

    def log_probs(self, x: torch.Tensor) -> torch.Tensor:
        return self.features(x).log_softmax(-1)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return Features()(x)  # type: ignore[no-any-return]

    def score(self, z: torch.Tensor) -> torch.Tensor:
        return z.flatten(1).sum(-1)

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        return -z.flatten(1).square().sum(-1)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_merging_two_halves_equals_seeing_the_whole(name: str) -> None:
    special = {"accuracy": lambda: build("bottleneck"), "synthetic-kl": known_critic}
    model, dataset = special.get(name, lambda: build("vae" if name in ONE_LAYER else "hierarchy of two"))()
    x = torch.as_tensor(dataset.train.x[:20]).float()
    node = ESTIMATORS.resolve({"name": name, **CHEAP.get(name, {})}, "e")
    whole, left, right = (built(node, model, lambda *_: Judge()) for _ in range(3))
    for each in (whole, left, right):
        if isinstance(each, InceptionDistance):
            each.network = Features()  # in place of weights of 90 MB
    noise = LiveNoise(0)
    y = torch.arange(20) % 3
    with torch.no_grad():
        for part in (slice(8), slice(8, 20)):
            whole.observe(model, Batch(x[part], y=y[part]), noise)
        noise = LiveNoise(0)
        left.observe(model, Batch(x[:8], y=y[:8]), noise)
        right.observe(model, Batch(x[8:], y=y[8:]), noise)
        left.merge(right)
        assert left.result() == whole.result()
    assert all(np.array_equal(v, whole.per_example()[k]) for k, v in left.per_example().items())


class Shifted(torch.nn.Module):
    """A decoder network that misses every pixel by a tenth."""

    def __init__(self, x: torch.Tensor) -> None:
        super().__init__()
        self.answer = x + 0.1

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.answer[: z.shape[-2]].expand(*z.shape[:-1], *self.answer.shape[1:])


@pytest.mark.spec("HV24")
def test_a_mean_squared_error_of_a_hundredth_is_twenty_decibels() -> None:
    x = np.random.default_rng(0).random((5, 1, 8, 8)).astype(np.float32)
    dataset = Dataset("grey", Support.UNIT, Split(x), Split(x), Split(x))
    node = {
        "name": "vae",
        "latent_dim": 2,
        "decoder": {"name": "gaussian", "network": {"name": "mlp", "hidden": [4]}, "sigma": 1.0},
    }
    model = MODELS.build(MODELS.resolve(node, "model"), dataset)
    model.decoder.network = Shifted(torch.as_tensor(x))
    found, _ = measured(model, dataset, "psnr")
    assert found["psnr"].value == pytest.approx(20.0, abs=1e-4)


@pytest.mark.spec("VF50")
def test_bits_per_dimension_are_nats_over_d_log_two() -> None:
    model, dataset = build("vae")
    found, _ = measured(model, dataset, "rate-distortion")
    assert found["bits_per_dim"].value == pytest.approx(found["neg_elbo"].value / (64 * math.log(2)))
    assert found["bits_per_dim"].unit == "bit/dim"


def test_a_density_is_never_called_a_probability() -> None:
    """Densities bound a differential entropy only: another name, and no bits per dimension."""
    exact, dataset = world(1.0, n=100)
    found, _ = measured(linear_model(exact, dataset), dataset, "rate-distortion", {"name": "iwae", "samples": 2})
    assert found["distortion"].of == "distortion (density)"
    assert found["neg_elbo"].of == found["iwae"].of == "negative log-density"
    assert "bits_per_dim" not in found
    model, dataset = build("vae")
    found, _ = measured(model, dataset, "rate-distortion", {"name": "iwae", "samples": 2})
    assert found["neg_elbo"].of == found["iwae"].of == "negative log-likelihood"


def test_the_peak_must_cover_the_data() -> None:
    exact, dataset = world(1.0, n=100)
    with pytest.raises(UserError, match="set its range"):
        measured(linear_model(exact, dataset), dataset, "psnr")
    assert measured(linear_model(exact, dataset), dataset, {"name": "psnr", "range": 20.0})[0]["psnr"].value > 0


def test_numbers_that_are_no_likelihood_say_so() -> None:
    x = np.random.default_rng(0).random((20, 1, 8, 8)).astype(np.float32)
    dataset = Dataset("grey", Support.UNIT, Split(x), Split(x), Split(x))
    model = MODELS.build(MODELS.resolve({"name": "vae", "decoder": {"name": "bernoulli", "grey": True}}, "model"), dataset)
    found, _ = measured(model, dataset, "rate-distortion", {"name": "iwae", "samples": 2})
    assert found["distortion"].bound == found["neg_elbo"].bound == found["iwae"].bound == "estimate"
    assert "no" in found["distortion"].to_json()["why"]
    assert found["rate"].bound == "exact"


SMALL = {
    "iwae": {"samples": 3},
    "ais": {"chains": 2, "temperatures": 2, "leapfrogs": 1},
    "bidirectional": {"chains": 2, "temperatures": 2, "leapfrogs": 1},
    "annealed-curve": {"chains": 2, "temperatures": 2, "leapfrogs": 1},
    "parzen": {"samples": 10},
    "joint-marginal-kl": {"examples": 8},
    "joint-label-information": {"examples": 8},
    "neighbour-information": {"limit": 20},
}


@pytest.mark.parametrize("case", CASES)
def test_every_estimator_measures_a_model_or_says_in_one_line_why_not(case: str) -> None:
    model, dataset = build(case)
    for name, entry in ESTIMATORS.items():
        if entry.target.needs.helper is not None:  # type: ignore[attr-defined]
            continue
        node = ESTIMATORS.resolve({"name": name, **SMALL.get(name, {})}, "estimators")
        try:
            found, _ = evaluate(model, dataset, "test", [node], seed=0)
        except UserError:
            continue
        for key, values in found.items():
            for value in values if isinstance(values, list) else [values]:
                known = not math.isnan(value.value) or value.why or (case in NO_RATE and key == "rates")
                assert known, f"{key} of {name} is not a number, and nothing says why"


def test_what_is_of_examples_is_refused_for_models_of_labels_before_a_critic_is_trained() -> None:
    def train(node: object, model: Model) -> Model:
        raise AssertionError("trained")

    model, dataset = build("bottleneck")
    nodes = [ESTIMATORS.resolve(name, "estimators") for name in ("ais", "parzen", "wasserstein", "generative-information")]
    assert check_estimators(model, dataset, nodes, train) == {
        node["name"]: f"estimator '{node['name']}' is of examples, and this model decodes labels; leave it out"
        for node in nodes
    }

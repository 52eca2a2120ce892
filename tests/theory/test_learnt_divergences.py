"""Divergences by trained critics and densities against closed forms and quadrature: the helpers are runs of a store, made once."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from toys import build

from ratelab.analysis.plane import plane
from ratelab.core.batch import Batch, Noise
from ratelab.core.dataset import Split
from ratelab.core.errors import UserError
from ratelab.core.estimator import Result
from ratelab.core.passes import Layer
from ratelab.distributions.gaussians import DiagonalGaussian, StandardNormal
from ratelab.estimators import ESTIMATORS
from ratelab.estimators.density_ratio import ratio_estimates
from ratelab.evaluation import check_estimators, evaluate
from ratelab.evaluation.foreign import measure
from ratelab.runs import Circumstances, Helpers, execute, from_mapping, open_run, read_recipe, single
from ratelab.store import Store
from ratelab.training import checkpoint

LINEAR = {"name": "mlp", "hidden": []}
GAUSSIAN = {"name": "gaussian", "network": LINEAR}


def subject(store: Store, data: Mapping[str, Any], decoder: Mapping[str, Any], weight: Any, bias: Any, log_scale: Any) -> str:
    """A run of a linear encoder whose weights are set by hand: z ~ N(W x + b, exp(2 log_scale))."""
    recipe = {
        "data": data,
        "model": {"name": "vae", "latent_dim": len(bias), "encoder": GAUSSIAN, "decoder": {**decoder, "network": LINEAR}},
        "objective": {"name": "beta"},
        "training": {"epochs": 1, "batch_size": 1000},
    }
    run: str = execute(single(from_mapping(recipe, "test"), ()), store)["run"]
    folder = store.run(run)
    model = open_run(folder).model
    out = model.encoder.head.out  # type: ignore[union-attr]
    weight, bias, log_scale = (torch.as_tensor(part, dtype=torch.float32) for part in (weight, bias, log_scale))
    with torch.no_grad():
        out.weight.copy_(torch.cat([weight, torch.zeros_like(weight)]))  # type: ignore[union-attr]
        out.bias.copy_(torch.cat([bias, log_scale]))  # type: ignore[union-attr]
    folder.write_weights(checkpoint.to_bytes(model.state_dict(), {"epoch": 1}))
    return run


def measured(store: Store, run: str, *nodes: Mapping[str, Any], which: str = "test") -> tuple[dict[str, Result], Helpers]:
    trained = open_run(store.run(run))
    helper = Helpers(run, trained.recipe, store, Circumstances(), execute)
    resolved = [ESTIMATORS.resolve(node, "e") for node in nodes]
    return evaluate(trained.model, trained.dataset, which, resolved, seed=0, helper=helper)[0], helper


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store.create(tmp_path_factory.mktemp("learnt") / "runs")


@pytest.fixture(scope="module")
def shifted(store: Store) -> str:
    """q(z) = N(1, 1) against N(0, 1): KL = 1/2."""
    data = {"name": "linear-gaussian", "eigenvalues": [1.0], "n": 20_000}
    return subject(store, data, {"name": "gaussian"}, [[0.8]], [1.0], [math.log(0.6)])


CENTRES, SPREAD = (-1.8, -0.5, 0.7, 2.2), 0.25


@pytest.fixture(scope="module")
def mixture(store: Store) -> str:
    """q(z) = mean of four N(c, 1/16)."""
    data = {"name": "four-points", "n": 1500}
    return subject(store, data, {"name": "bernoulli"}, [CENTRES], [0.0], [math.log(SPREAD)])


def divergence_of_the_mixture() -> float:
    grid = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    law = DiagonalGaussian(torch.tensor(CENTRES, dtype=torch.float64).unsqueeze(1), scale=torch.full((4, 1), SPREAD).double())
    log_q = law.log_prob(grid.view(-1, 1, 1)).logsumexp(-1) - math.log(4)
    return float(torch.trapezoid(log_q.exp() * (log_q + 0.5 * grid.square() + 0.5 * math.log(2 * math.pi)), grid))


RATIO = {"name": "marginal-kl-ratio", "layers": 2, "width": 64, "lr": 2e-3, "steps": 1500, "batch_size": 250}


@pytest.mark.spec("DM08", "DM12")
def test_a_trained_critic_finds_the_divergence_of_two_gaussians(store: Store, shifted: str) -> None:
    found, helper = measured(store, shifted, RATIO)
    ratio, dv, nwj = (found[f"marginal_kl_{name}"] for name in ("ratio", "dv", "nwj"))
    assert ratio.value == pytest.approx(0.5, abs=0.05)
    assert ratio.bound == "estimate"
    for bound in (dv, nwj):
        assert bound.bound == "lower"
        assert 0.4 < bound.value < 0.5 + 4 * bound.stderr
    assert nwj.value <= dv.value + 1e-9
    assert found["marginal_kl_draws"].value > 1000
    used = helper.used["marginal-kl-ratio"]
    assert used["seed"] == 0
    assert used["seconds"] > 0
    assert store.run(used["run"]).results()["recipe"]["model"]["of"] == shifted  # type: ignore[index]


def test_a_helper_is_trained_once_and_measured_on_draws_it_has_not_learnt_from(store: Store, shifted: str) -> None:
    measured(store, shifted, RATIO)
    runs = len(store.runs())
    again, _ = measured(store, shifted, RATIO)
    assert len(store.runs()) == runs
    other, twin = measured(store, shifted, {**RATIO, "steps": 100, "seed": 1})
    assert len(store.runs()) == runs + 1
    assert twin.used["marginal-kl-ratio"]["seed"] == 1
    assert other["marginal_kl_ratio"] != again["marginal_kl_ratio"]


MODELS = {
    "gmm": {"components": 12, "steps": 1500, "batch_size": 250, "lr": 2e-2},
    "maf": {"layers": 2, "hidden": [32], "steps": 1000, "batch_size": 250, "lr": 5e-3},
    "lstm": {"hidden": 16, "steps": 600, "batch_size": 250, "lr": 1e-2},
}
LEAST = {"gmm": 0.97, "maf": 0.0, "lstm": 0.0}  # of the truth; one Gaussian is all that the other two are in one dimension


@pytest.mark.parametrize("family", [
    pytest.param("gmm", marks=pytest.mark.spec("DM09")),
    pytest.param("maf", marks=pytest.mark.spec("DM10")),
    pytest.param("lstm", marks=pytest.mark.spec("DM11")),
])  # fmt: skip
def test_density_models_bound_the_divergence_of_a_mixture_from_below(store: Store, mixture: str, family: str) -> None:
    truth = divergence_of_the_mixture()
    found, _ = measured(store, mixture, {"name": f"marginal-kl-{family}", **MODELS[family]}, {"name": "marginal-kl"})
    bound, reference = found[f"marginal_kl_{family}"], found["marginal_kl"]
    assert bound.bound == "lower"
    assert LEAST[family] * truth < bound.value < truth + 4 * bound.stderr
    assert abs(reference.value - truth) < 4 * reference.stderr
    if family == "gmm":
        assert abs(bound.value - truth) < 4 * bound.stderr + 0.01, "q(z) is a mixture of Gaussians: the bound is tight"


@pytest.fixture(scope="module")
def correlated(store: Store) -> tuple[str, float]:
    """q(z) = N(0, S) with correlated coordinates: a diagonal Gaussian cannot follow, the autoregressive models can."""
    data = {"name": "linear-gaussian", "eigenvalues": [1.0, 1.0, 1.0], "n": 20_000}
    weight = torch.tensor([[0.9, 0.0, 0.0], [0.8, 0.3, 0.0], [-0.7, 0.4, 0.3]])
    log_scale = torch.tensor([0.3, 0.25, 0.3]).log()
    spread = (weight @ weight.T + torch.diag((2 * log_scale).exp())).double()
    truth = 0.5 * float(spread.diagonal().sum() - 3 - torch.logdet(spread))
    return subject(store, data, {"name": "gaussian"}, weight, [0.0, 0.0, 0.0], log_scale), truth


@pytest.mark.spec("DM09", "DM10", "DM11", "DM02")
def test_the_ordering_of_density_models_monte_carlo_and_rate(store: Store, correlated: tuple[str, float]) -> None:
    """density model <= Monte Carlo <= rate, and rate - log N <= KL <= rate; the autoregressive models are tight here."""
    run, truth = correlated
    nodes = [{"name": f"marginal-kl-{family}", **options} for family, options in MODELS.items()]
    nodes[0]["components"] = 1
    found, _ = measured(store, run, *nodes, {"name": "marginal-kl"}, {"name": "rate-distortion"})
    reference, rate = found["marginal_kl"], found["rate"]
    for family in MODELS:
        bound = found[f"marginal_kl_{family}"]
        slack = 4 * math.hypot(bound.stderr, reference.stderr)
        assert bound.value < reference.value + slack
        assert bound.value < truth + 4 * bound.stderr
        if family != "gmm":
            assert bound.value > truth - 4 * bound.stderr - 0.02
    assert found["marginal_kl_gmm"].value < truth - 0.3, "one diagonal Gaussian misses the correlations"
    slack = 4 * math.hypot(rate.stderr, reference.stderr)
    assert rate.value - math.log(rate.n) - slack <= reference.value <= rate.value + slack


class Told:
    """A subject and a density that are known: codes of N(mu, s^2) against N(0, 1), a density N(a, b^2)."""

    def __init__(self, mu: float, s: float, a: float, b: float) -> None:
        self.law, self.density = ((torch.tensor([[loc]], dtype=torch.float64), scale) for loc, scale in ((mu, s), (a, b)))

    def log_prob(self, z: Tensor) -> Tensor:
        loc, scale = self.density
        return DiagonalGaussian(loc[0], scale=torch.full((1,), scale).double()).log_prob(z)

    def __call__(self, batch: Batch, noise: Noise) -> Any:
        loc, scale = self.law
        law = DiagonalGaussian(loc.expand(batch.size, 1), scale=torch.full((batch.size, 1), scale).double())
        layer = Layer(law.draw(noise, 1).value, law, StandardNormal((1,), loc))
        return type("Seen", (), {"top": layer, "layers": (layer,)})


def test_bounds_that_rest_on_few_draws_are_called_estimates() -> None:
    good = ratio_estimates(torch.zeros(100), torch.zeros(100), "KL")
    poor = ratio_estimates(torch.zeros(100), torch.tensor([50.0, *[0.0] * 99]), "KL")
    for name in ("marginal_kl_dv", "marginal_kl_nwj"):
        assert good[name].bound == "lower"  # type: ignore[union-attr]
        assert poor[name].bound == "estimate"  # type: ignore[union-attr]
        assert "worth 1.0 equal ones" in (poor[name].why or "")  # type: ignore[union-attr]
    assert good["marginal_kl_ratio"].bound == poor["marginal_kl_ratio"].bound == "estimate"  # type: ignore[union-attr]


EVERY = ("marginal-kl-ratio", "marginal-kl-gmm", "marginal-kl-maf", "marginal-kl-lstm")


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(("option", "value", "says"), [
    ("steps", 0, "steps.*greater than or equal to 1"),
    ("lr", 0.0, "lr.*greater than 0"),
    ("step", 100, "unknown key 'step'; did you mean 'steps'"),
    ("batch_size", 1.5, "expected a whole number"),
])  # fmt: skip
def test_a_wrong_option_is_one_line(name: str, option: str, value: Any, says: str) -> None:
    with pytest.raises(UserError, match=says):
        ESTIMATORS.resolve({"name": name, option: value}, "--estimators")


@pytest.mark.parametrize(("model", "data", "says"), [
    ({"name": "vae", "encoder": "deterministic"}, "digits", "the encoder is deterministic"),
    ({"name": "gaussian-mixture"}, {"name": "linear-gaussian", "n": 50}, "enumerates its latents"),
    ({"name": "invertible"}, {"name": "linear-gaussian", "n": 50}, "has no latents"),
    (
        {"name": "vae", "latent_dim": 6, "encoder": {"name": "categorical", "states": 3}, "marginal": {"name": "categorical", "states": 3}},
        "digits",
        "no real-valued vectors",
    ),
])  # fmt: skip
def test_models_without_codes_to_learn_are_refused_before_anything_is_trained(
    tmp_path: Path, model: Any, data: Any, says: str
) -> None:
    own = Store.create(tmp_path / "runs")
    for name in EVERY:
        recipe = {"data": data, "model": model, "objective": "vim" if "deterministic" in str(model) else "beta",
                  "training": {"epochs": 1}, "evaluation": {"estimators": [name]}}  # fmt: skip
        with pytest.raises(UserError, match=says) as caught:
            execute(single(from_mapping(recipe, "test"), ()), own)
        assert "\n" not in str(caught.value)
    assert not own.runs()


def test_an_implicit_encoder_is_measured_by_draws_alone(tmp_path: Path) -> None:
    recipe = {
        "data": {"name": "digits", "limit": 200},
        "model": {"name": "vae", "latent_dim": 2, "encoder": {"name": "implicit", "network": LINEAR},
                  "decoder": {"name": "bernoulli", "network": LINEAR}},
        "objective": "vim",
        "training": {"epochs": 1},
        "evaluation": {"estimators": [{"name": "marginal-kl-ratio", "width": 8, "steps": 5}, {"name": "marginal-kl-gmm", "steps": 5}]},
    }  # fmt: skip
    own = Store.create(tmp_path / "runs")
    results = execute(single(from_mapping(recipe, "test"), ()), own)
    assert {"marginal_kl_ratio", "marginal_kl_gmm"} <= set(results["estimates"])
    assert {"marginal-kl-ratio", "marginal-kl-gmm"} == set(results["helpers"])
    assert results["estimates"]["rate"]["value"] is None
    reasons = {point.run: point.apart for point in plane(own.path).apart}
    of = {name: reasons[used["run"]] for name, used in results["helpers"].items()}
    assert of == {
        "marginal-kl-ratio": "its distortion is of the label, not of the example",
        "marginal-kl-gmm": "its distortion is of another run's codes, not of the example",
    }


def test_one_model_for_many_betas_has_a_helper_for_each(tmp_path: Path) -> None:
    own = Store.create(tmp_path / "runs")
    nodes = [{"name": "marginal-kl-gmm", "steps": 5, "components": 2}]
    changes = ["data={name: digits, limit: 100}", "training.epochs=1", "evaluation.betas=[0.5]"]
    file = read_recipe("digits/multirate")
    recipe = single(replace(file, base={**file.base, "evaluation": {"estimators": nodes}}), changes)
    results = execute(recipe, own)
    run = results["run"]
    assert set(results["helpers"]) == {"marginal-kl-gmm@beta=1", "marginal-kl-gmm@beta=0.5"}
    learnt = {own.run(used["run"]).recipe()["model"]["of"] for used in results["helpers"].values()}
    assert learnt == {f"{run}@beta=1", f"{run}@beta=0.5"}
    assert "marginal_kl_gmm" in results["points"][0]["estimates"]


def test_a_model_of_another_runs_codes_needs_that_run(tmp_path: Path) -> None:
    own = Store.create(tmp_path / "runs")
    recipe = single(
        from_mapping({"data": "digits", "model": {"name": "code-density", "of": "3f2a"}, "objective": "beta"}, "t"), ()
    )
    with pytest.raises(UserError, match="no run '3f2a'"):
        execute(recipe, own)
    parts = [lambda v: torch.distributions.Normal(v, 1.0)] * 2
    with pytest.raises(UserError, match="needs a trained critic of codes, a run of a store"):
        measure(*parts, None, np.zeros((9, 2)), estimators=["marginal-kl-ratio"])


@pytest.mark.parametrize("name", [*EVERY, "wasserstein"])
def test_too_few_examples_are_refused_before_a_helper_is_trained(name: str) -> None:
    model, dataset = build("vae")
    few = replace(dataset, validation=Split(dataset.train.x[:1]))

    def helper(*_: Any) -> Any:
        raise AssertionError("trained in vain")

    node = ESTIMATORS.resolve(name, "e")
    line = check_estimators(model, few, [node], helper)[name]
    says = f"needs at least 2 examples, and the validation split of '{dataset.name}' has 1; give more data or leave it out"
    assert line == f"estimator '{name}' {says}"
    with pytest.raises(UserError, match="needs at least 2 examples, and the validation split"):
        evaluate(model, few, "validation", [node], seed=0, helper=helper)
    with pytest.raises(AssertionError, match="in vain"):
        evaluate(model, few, "test", [node], seed=0, helper=helper)

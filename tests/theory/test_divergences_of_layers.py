"""KL(q || m) of a hierarchy's layers, by Monte Carlo over paths, critics and densities, against the linear-Gaussian closed form."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from linear_hierarchy import WORLD, linear_hierarchy
from toys import build

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.codes import Codes
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.data import load
from ratelab.estimators import ESTIMATORS
from ratelab.evaluation import check_estimators, evaluate
from ratelab.exact.gaussians import kl_full
from ratelab.exact.hierarchy import TopDown as Exact
from ratelab.runs import from_mapping, single
from ratelab.runs.assemble import build_trainer
from ratelab.runs.judges import helper_recipe

Q = Exact(*(torch.tensor(value, dtype=torch.float64) for value in (0.75, 0.6, 0.3, 0.9, 0.7)))
GAPS = WORLD.gaps(Q)
DATA = {"name": "linear-gaussian", "eigenvalues": [WORLD.data_variance], "n": 8000}
STEPS = {"steps": 800, "batch_size": 250}


def examples(n: int, seed: int) -> Dataset:
    x = np.random.default_rng(seed).standard_normal((n, 1)) * math.sqrt(WORLD.data_variance)
    split = Split(x.astype(np.float32))
    return Dataset("linear-Gaussian", Support.REAL, split, split, split)


def measured(model: Model, dataset: Dataset, *nodes: Mapping[str, Any] | str, seed: int = 0) -> dict[str, Any]:
    resolved = [ESTIMATORS.resolve(node, "e") for node in nodes]
    return evaluate(model, dataset, "test", resolved, seed=seed, helper=taught(dataset))[0]


def taught(dataset: Dataset) -> Any:
    """Helpers trained on the spot, about a model that is no run of a store."""

    def helper(node: Mapping[str, Any], model: Model) -> Model:
        recipe = single(from_mapping({"data": DATA, "model": "vae", "objective": "beta"}, "test"), ())
        wanted = helper_recipe(recipe, node, "exact", lambda which: len(getattr(dataset, which)))
        with torch.enable_grad():
            trainer = build_trainer(wanted, dataset, torch.device("cpu"), lambda of: model)
            while not trainer.done:
                trainer.run_epoch()
        return trainer.model.eval()

    return helper


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load(DATA)


def test_the_closed_form_is_that_of_draws() -> None:
    """Of a million draws of q(z_2, z_1), whose moments are all that a Gaussian's divergence needs."""
    stream = torch.Generator().manual_seed(0)
    x, e2, e1 = torch.randn(3, 10**6, dtype=torch.float64, generator=stream)
    x = x * math.sqrt(WORLD.data_variance)
    mean2, std2 = Q.top(x)
    z2 = mean2 + std2 * e2
    mean1, std1 = Q.bottom(z2, x)
    z = torch.stack((z2, mean1 + std1 * e1))
    prior = torch.tensor([[1, WORLD.a], [WORLD.a, WORLD.a**2 + WORLD.s1**2]], dtype=torch.float64)
    for found, rows in zip(GAPS, ([0], [0, 1], [1]), strict=True):
        zero = torch.zeros(len(rows), dtype=torch.float64)
        truth = kl_full(zero, torch.cov(z[rows]).view(len(rows), -1), zero, prior[rows][:, rows])
        assert float(found) == pytest.approx(float(truth), abs=5e-3)
    assert GAPS.both > GAPS.bottom
    assert GAPS.both > GAPS.top
    at_best = WORLD.gaps(WORLD.posterior)
    assert all(abs(float(gap)) < 1e-12 for gap in at_best), (
        "the exact posterior of the model's own data aggregates to the prior"
    )


@pytest.mark.spec("DM01", "DM02")
def test_the_rate_of_each_layer_with_those_above_splits_into_information_and_divergence() -> None:
    dataset = examples(1500, 0)
    model = linear_hierarchy(Q).float()
    found = measured(model, dataset, {"name": "joint-marginal-kl", "examples": 1500})
    rates = WORLD.measure(Q).rates.cumsum(-1)
    for i, gap in enumerate((GAPS.top, GAPS.both)):
        low, high = found["joint_marginal_kl_lower"][i], found["joint_marginal_kl"][i]
        assert low.value - 4 * low.stderr < float(gap) < high.value + 4 * high.stderr
        assert high.value - low.value < 0.06
        least, most = found["joint_information"][i], found["joint_information_upper"][i]
        truth = float(rates[i] - gap)
        assert least.value - 4 * least.stderr < truth < most.value + 4 * most.stderr
        assert least.value <= math.log(1500)
        assert abs(high.value + least.value - float(rates[i])) < 4 * (high.stderr + least.stderr)
    assert [each.of for each in found["joint_marginal_kl"]] == [
        "KL(q(z) || m(z)) of layer 2",
        "KL(q(z) || m(z)) of layers 2 to 1",
    ]


@pytest.mark.spec("DM02")
def test_both_sides_hold_in_expectation_over_small_data_sets() -> None:
    model = linear_hierarchy(Q)
    values: dict[str, list[float]] = {"joint_marginal_kl": [], "joint_marginal_kl_lower": []}
    for seed in range(60):
        x = torch.as_tensor(examples(25, seed).train.x).double()
        estimator = ESTIMATORS.build(ESTIMATORS.resolve("joint-marginal-kl", "e"))
        with torch.no_grad():
            estimator.observe(model, Batch(x), LiveNoise(seed, dtype=torch.float64))
            found = estimator.result()
        for name, rows in values.items():
            rows.append(found[name][1].value)  # type: ignore[index]
    upper, lower = (np.array(rows) for rows in values.values())
    assert upper.mean() > float(GAPS.both) - 4 * upper.std() / 60**0.5
    assert lower.mean() < float(GAPS.both) + 4 * lower.std() / 60**0.5
    assert lower.mean() < upper.mean() - 0.1


def test_the_top_layer_by_paths_is_the_top_layer_by_products() -> None:
    """The same draws, the same mixture: only the way of scoring differs."""
    model, dataset = build("hierarchy of two")
    both = measured(model, dataset, {"name": "joint-marginal-kl", "examples": 500})
    alone = measured(model, dataset, "marginal-kl")
    n = both["joint_marginal_kl"][0].n
    assert n == alone["marginal_kl"].n
    slack = 4 * math.hypot(both["joint_marginal_kl"][0].stderr, alone["marginal_kl"].stderr)
    assert abs(both["joint_marginal_kl"][0].value - alone["marginal_kl"].value) < slack


@pytest.mark.parametrize(("options", "gap", "ending"), [
    ({"layer": 1}, GAPS.both, "_to_layer_1"),
    ({"layer": 1, "alone": True}, GAPS.bottom, "_of_layer_1"),
])  # fmt: skip
def test_a_critic_finds_the_divergence_of_every_layer(data: Dataset, options: Any, gap: Any, ending: str) -> None:
    node = {"name": "marginal-kl-ratio", "layers": 2, "width": 64, "lr": 2e-3, **STEPS, **options}
    found = measured(linear_hierarchy(Q).float(), data, node)
    ratio, dv, nwj = (found[f"marginal_kl_{name}{ending}"] for name in ("ratio", "dv", "nwj"))
    assert ratio.value == pytest.approx(float(gap), abs=0.15 * float(gap) + 0.02)
    for bound in (dv, nwj):
        assert 0.7 * float(gap) < bound.value < float(gap) + 4 * bound.stderr


def test_a_density_bounds_the_divergence_of_layers_together_from_below(data: Dataset) -> None:
    node = {"name": "marginal-kl-maf", "layers": 2, "hidden": [16], "lr": 1e-2, **STEPS, "layer": 1}
    found = measured(linear_hierarchy(Q).float(), data, node)["marginal_kl_maf_to_layer_1"]
    assert found.bound == "lower"
    assert float(GAPS.both) - 4 * found.stderr - 0.02 < found.value < float(GAPS.both) + 4 * found.stderr


def test_a_layer_that_is_not_there_and_a_density_that_is_not_there_are_one_line(data: Dataset) -> None:
    model = linear_hierarchy(Q).float()
    for name in ("marginal-kl-ratio", "marginal-kl-gmm"):
        refused = check_estimators(model, data, [ESTIMATORS.resolve({"name": name, "layer": 3}, "e")], taught(data))
        assert "layer 3 is none of this model's 2, which count from the data" in refused[name]
    with pytest.raises(UserError, match="unknown key 'alone'"):
        ESTIMATORS.resolve({"name": "marginal-kl-gmm", "layer": 1, "alone": True}, "e")
    bottom_up, images = build("bottom-up")
    node = ESTIMATORS.resolve("joint-marginal-kl", "e")
    assert "layer by layer from the top" in check_estimators(bottom_up, images, [node])["joint-marginal-kl"]


@pytest.mark.parametrize(("case", "codes", "line"), [
    ("hierarchy of two, categorical above", Codes(), "no real-valued vectors"),
    ("hierarchy of two, categorical above", Codes(1), "no real-valued vectors"),
    ("hierarchy of two, categorical above", Codes(1, alone=True), ""),
    ("vae, deterministic", Codes(1), "deterministic"),
    ("convolutional", Codes(1), ""),
    ("bottom-up", Codes(1), ""),
])  # fmt: skip
def test_what_can_be_learnt_of_a_layer(case: str, codes: Codes, line: str) -> None:
    """A lower layer by itself may be a vector of real numbers where what is above it is not."""
    model, dataset = build(case)
    x = torch.as_tensor(dataset.train.x[:3]).float() * dataset.scale
    with torch.no_grad():
        seen = model.eval()(Batch(x), LiveNoise(0))
        found = codes.lack(seen)
        assert (line in found) if line else not found
        if not line:
            z, drawn = codes.values(seen), codes.drawn(model, seen, 5, LiveNoise(1))
            assert drawn.shape == (5, z.shape[-1])

"""What several layers together say about labels: against quadrature over their joint posteriors, and between the bounds it belongs to."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.data.source import rows
from ratelab.distributions.gaussians import DiagonalGaussian
from ratelab.distributions.heads import GaussianHead
from ratelab.estimators import ESTIMATORS, kept_paths
from ratelab.estimators.joint_label_information import JointLabelInformation, path_log_densities
from ratelab.estimators.label_information import class_log_densities, label_terms
from ratelab.estimators.neighbour_information import label_neighbour_terms
from ratelab.evaluation import evaluate
from ratelab.exact.accuracy import highest_accuracy, information_needed
from ratelab.models import MODELS

STATES, COPIES = 6, 40
LABELS = torch.arange(STATES) % 2


def world(labels: bool = True) -> Dataset:
    """Six examples of three numbers, forty of each, with two labels: mixtures over all of them are mixtures over the six."""
    x = np.random.default_rng(5).standard_normal((STATES, 3)).astype(np.float32)
    split = Split(np.tile(x, (COPIES, 1)), np.tile(LABELS.numpy(), COPIES) if labels else None)
    return Dataset("six", Support.REAL, split, split, split)


def hierarchy(inference: str = "top-down", **changes: Any) -> Any:
    small = {"name": "mlp", "hidden": [6]}
    node = {
        "name": "hierarchy",
        "latent_dim": [1, 1],
        "encoder": {"name": "gaussian", "network": small, "joint": [5]},
        "decoder": {"name": "gaussian", "network": small},
        "inference": inference,
        **changes,
    }
    torch.manual_seed(1)
    model = MODELS.build(MODELS.resolve(node, "model"), world()).eval()
    with torch.no_grad():
        for head in (m for m in model.modules() if isinstance(m, GaussianHead)):
            head.out.weight[:1] *= 25  # means farther apart, spreads as they are
    return model


def whole(dataset: Dataset) -> tuple[Tensor, Tensor]:
    assert dataset.test.y is not None
    return torch.as_tensor(dataset.test.x), torch.as_tensor(dataset.test.y)


def densities(model: Any, grid: Tensor) -> tuple[Tensor, Tensor]:
    """q(z_2|x) on a grid (6, G) and q(z_2, z_1|x) on its square (6, G, G), from the laws of the encoders themselves."""
    x = torch.as_tensor(world().test.x[:STATES])
    above = grid[:, None, None].expand(-1, STATES, -1)
    seen = model.inference.look(x)
    upper = model.encode_top(x)
    lower = model.inference.law(1, seen, (above,), model.prior(1, (above,)))
    top = Normal(upper.loc.double(), upper.scale.double()).log_prob(grid.double()).exp()
    loc, scale = (value.double().squeeze(-1).T for value in (lower.loc, lower.scale.expand(lower.loc.shape)))
    below = Normal(loc[..., None], scale[..., None]).log_prob(grid.double()).exp()
    return top, top[..., None] * below


def truth(density: Tensor, cell: float) -> float:
    """I(y; z) of mixtures of densities (6, ...) over two labels, a sum over cells."""
    by_label = torch.stack([density[c::2].mean(0) for c in (0, 1)])
    mixture = by_label.mean(0)
    return float((0.5 * torch.special.xlogy(by_label, by_label / mixture.clamp_min(1e-300))).nan_to_num().sum() * cell)


@pytest.mark.spec("HV20")
@pytest.mark.parametrize("inference", ["top-down", "ladder", "coupled"])
@torch.no_grad()
def test_the_estimate_agrees_with_quadrature_over_both_layers(inference: str) -> None:
    model = hierarchy(inference)
    grid = torch.linspace(-45, 45, 1201)
    top, both = densities(model, grid)
    step = float(grid[1] - grid[0])
    assert torch.allclose(top.sum(1) * step, torch.ones(STATES).double(), atol=1e-3)
    assert torch.allclose(both.sum((1, 2)) * step**2, torch.ones(STATES).double(), atol=1e-3)
    wanted = truth(top, step), truth(both, step**2)
    x, y = whole(world())
    terms: list[Tensor] = []
    for seed in range(8):
        seen = model(Batch(x, y=y), LiveNoise(seed))
        z = tuple(layer.z[0] for layer in seen.layers)
        terms.append(torch.stack([label_terms(layer, y) for layer in path_log_densities(model, x, y, z)]))
    found = torch.cat(terms, -1)
    error = found.std(-1) / math.sqrt(found.shape[-1])
    assert torch.all((found.mean(-1) - torch.tensor(wanted)).abs() < 4 * error)
    if inference == "top-down":  # the lower layer adds something, so this is no test of the upper alone
        assert wanted[1] > wanted[0] + 4 * float(error[1])
    assert error.max() < 0.02


@torch.no_grad()
def test_the_top_layer_is_scored_as_by_itself_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = hierarchy()
    x, y = whole(world())
    seen = model(Batch(x, y=y), LiveNoise(0))
    z = tuple(layer.z[0] for layer in seen.layers)
    law: Any = seen.layers[0].encoder
    all_at_once = path_log_densities(model, x, y, z)
    posteriors = DiagonalGaussian(law.loc, log_scale=law.log_scale.expand(law.loc.shape))
    assert torch.allclose(all_at_once[0], class_log_densities(z[0], posteriors, y, 2), atol=1e-4)
    monkeypatch.setattr(kept_paths, "PAIRS", 700)
    assert torch.allclose(path_log_densities(model, x, y, z), all_at_once, atol=1e-6)
    absent = path_log_densities(model, x, 2 * y, z)
    assert torch.equal(absent[..., 1], torch.full_like(absent[..., 1], -torch.inf))
    assert torch.allclose(absent[..., [0, 2]], all_at_once, atol=1e-6)


@pytest.mark.spec("HV20")
@torch.no_grad()
def test_it_lies_between_what_a_classifier_gets_and_the_rates_of_the_layers() -> None:
    model = hierarchy()
    found, _ = evaluate(
        model, world(), "test", [{"name": "joint-label-information", "examples": 240}, {"name": "rate-distortion"}], seed=0
    )
    nats: Any = found["joint_label_information"]
    limits: Any = found["joint_accuracy_limit"]
    rates: Any = found["rates"]
    x, y = whole(world())
    z = tuple(layer.z[0] for layer in model(Batch(x, y=y), LiveNoise(7)).layers)
    right = path_log_densities(model, x, y, z).argmax(-1).eq(y).double().mean(-1)  # the best there is: equal priors
    assert [limit.bound for limit in limits] == ["upper", "upper"]
    for i, (estimate, limit, accuracy) in enumerate(zip(nats, limits, right.tolist(), strict=True)):
        above = sum(rate.value for rate in rates[: i + 1])
        error = estimate.stderr + sum(rate.stderr for rate in rates[: i + 1])
        assert estimate.value < above + 4 * error
        doubt = 4 * math.sqrt(accuracy * (1 - accuracy) / len(y))
        assert 0.6 < accuracy < limit.value + doubt + 4 * limit.stderr
        assert information_needed(max(accuracy - doubt, 0.5), 2) < estimate.value + 4 * estimate.stderr
        assert limit.value == pytest.approx(highest_accuracy(estimate.value, 2))
    assert nats[0].of == "information of the top layer's draws about the label"
    assert nats[1].of == "information of draws of layers 2 to 1 about the label"


@torch.no_grad()
def test_only_so_many_examples_are_kept_and_parts_merge_into_the_whole() -> None:
    model = hierarchy()
    x, y = whole(world())
    one, left, right = (JointLabelInformation(examples=50) for _ in range(3))
    halves = [Batch(x[rows], y=y[rows]) for rows in torch.arange(len(x)).split(120)]
    for batch, part, seed in zip(halves, (left, right), (0, 1), strict=True):
        one.observe(model, batch, LiveNoise(seed))
        part.observe(model, batch, LiveNoise(seed))
    left.merge(right)
    assert len(one.paths.order) == 50
    assert all(torch.equal(a, b) for a, b in zip(one.paths.rows, left.paths.rows, strict=True))
    a, b = one.result()["joint_label_information"], left.result()["joint_label_information"]
    assert a == b
    assert a[0].n == 50  # type: ignore[index]


@pytest.mark.parametrize(("node", "message"), [
    ({"name": "bottom-up", "latent_dim": [1, 1], "decoder": "gaussian"}, "layer by layer from the top, which this model does not allow"),
    ({"name": "vae", "latent_dim": 1, "encoder": "deterministic", "decoder": "gaussian"}, "which this model does not allow"),
])  # fmt: skip
def test_models_whose_layers_cannot_be_scored_are_refused(node: dict[str, Any], message: str) -> None:
    model = MODELS.build(MODELS.resolve(node, "model"), world())
    with pytest.raises(UserError, match=message):
        evaluate(model, world(), "test", [{"name": "joint-label-information", "examples": 10}], seed=0)


@pytest.mark.parametrize("name", [name for name, entry in ESTIMATORS.items() if entry.target.needs.labels])  # type: ignore[attr-defined]
def test_labels_that_are_missing_are_one_line(name: str) -> None:
    with pytest.raises(UserError, match=f"estimator '{name}' needs labels, and 'six' has none; leave it out"):
        evaluate(hierarchy(), world(labels=False), "test", [{"name": name}], seed=0)


@pytest.mark.spec("HV34")
def test_neighbours_find_what_each_layer_says_about_a_label() -> None:
    """Two Gaussians d apart, one for each label: I by quadrature; and labels count as alike or not, in whatever order."""
    stream = np.random.default_rng(0)
    y = stream.integers(0, 2, 4000)
    grid = np.linspace(-12, 14, 20001)
    for apart in (0.7, 2.0):
        p = [np.exp(-0.5 * (grid - c * apart) ** 2) / math.sqrt(2 * math.pi) for c in (0, 1)]
        m = 0.5 * (p[0] + p[1])
        wanted = sum(0.5 * (q * np.log(q / m)).sum() for q in p) * (grid[1] - grid[0])
        terms = label_neighbour_terms((apart * y + stream.standard_normal(4000))[:, None], y, 5)
        assert abs(terms.mean() - wanted) < 4 * terms.std() / math.sqrt(4000) + 0.01
    many = stream.integers(0, 4, 1000)
    z = stream.standard_normal((1000, 2)) + 3 * np.stack([many % 2, many // 2], 1)
    renamed = np.array([2, 0, 3, 1])[many]
    assert np.allclose(label_neighbour_terms(z, many, 5).mean(), label_neighbour_terms(z, renamed, 5).mean())


def test_neighbour_information_is_one_number_for_each_layer() -> None:
    found, _ = evaluate(
        hierarchy(), world(), "test", [{"name": "neighbour-information", "neighbours": 3, "limit": 200}], seed=0
    )
    layers: Any = found["neighbour_information"]
    assert [row.n for row in layers] == [200, 200]
    assert [row.of for row in layers] == [f"information of draws of layer {i} about the label" for i in (2, 1)]
    few = replace(world(), test=rows(world().test, slice(5)))
    with pytest.raises(UserError, match="needs at least 6 examples, and the test split"):
        evaluate(hierarchy(), few, "test", [ESTIMATORS.resolve("neighbour-information", "e")], seed=0)

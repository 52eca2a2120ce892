"""Invertible generative models: a density by change of variables, of data in its own units."""

from typing import Any

import numpy as np
import pytest
import torch

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.models import MODELS
from ratelab.models.invertible import Invertible
from ratelab.runs import Circumstances, execute, resolve
from ratelab.store import Store


def table(n: int = 200) -> Dataset:
    x = (np.random.default_rng(0).standard_normal((n, 2)) @ [[2.0, 1.0], [0.0, 0.5]] + [10.0, -3.0]).astype(np.float32)
    return Dataset("table", Support.REAL, Split(x), Split(x[:20]), Split(x[:20]))


def model(flow: Any, dataset: Dataset | None = None) -> Invertible:
    torch.manual_seed(0)
    built: Invertible = MODELS.build(MODELS.resolve({"name": "invertible", "flow": flow}, "model"), dataset or table())
    with torch.no_grad():
        for p in built.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return built.double()


@pytest.mark.spec("VF08")
@pytest.mark.parametrize("flow", ["real-nvp", "nice"])
@torch.no_grad()
def test_draws_follow_the_density_and_the_density_is_one_in_total(flow: str) -> None:
    """On a grid in the units of the data, and chi-square over its cells."""
    built = model({"name": flow, "hidden": [16]})
    drawn = built.generate(20_000, LiveNoise(1, dtype=torch.float64))
    centre, spread = built.standardise.shift, built.standardise.scale
    sides = [c + s * torch.linspace(-9, 9, 361, dtype=torch.float64) for c, s in zip(centre, spread, strict=True)]
    middles = [0.5 * (side[1:] + side[:-1]) for side in sides]
    area = float(torch.stack([side[1] - side[0] for side in sides]).prod())
    mass = built.law().log_prob(torch.cartesian_prod(*middles)).exp().reshape(360, 360) * area
    assert float(mass.sum()) == pytest.approx(1.0, abs=1e-3)
    cells = mass.reshape(36, 10, 36, 10).sum((1, 3))
    inside = [float(edge) for side in sides for edge in (side[0], side[-1])]
    seen = torch.histogramdd(drawn.target, bins=36, range=inside).hist
    often = cells * 20_000 > 10
    expected = torch.cat([cells[often], 1 - cells[often].sum().reshape(1)]) * 20_000
    counts = torch.cat([seen[often], 20_000 - seen[often].sum().reshape(1)])
    freedom = len(expected) - 1
    assert float(((counts - expected).square() / expected).sum()) < freedom + 5 * (2 * freedom) ** 0.5


@pytest.mark.spec("VF08")
@pytest.mark.parametrize("flow", ["real-nvp", "nice", "spline", "iaf-affine"])
def test_the_density_of_a_draw_is_that_of_its_noise_less_autograds_log_determinant(flow: str) -> None:
    built = model(flow if flow == "spline" else {"name": flow, "hidden": [16]})
    e = LiveNoise(2, dtype=torch.float64).normal((5, 2))

    def push(noise: torch.Tensor) -> torch.Tensor:
        return built.standardise.shift + built.standardise.scale * built.flow(noise).value

    x = push(e)
    slopes = torch.stack([torch.autograd.functional.jacobian(push, row) for row in e])
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(e).sum(-1) - slopes.det().abs().log()
    assert torch.allclose(built.law(5).log_prob(x), expected, atol=1e-8)
    seen = built(Batch(x), LiveNoise(0))
    assert seen.rates.shape == (0, 1, 5)
    assert torch.allclose(seen.distortion[0], -expected, atol=1e-8)


def test_a_run_of_one_has_no_rate_and_comes_near_the_datas_entropy(tmp_path: Any) -> None:
    x = table(600).train.x
    np.savez(tmp_path / "x.npz", x=x)
    data = {"name": "array", "path": str(tmp_path / "x.npz"), "validation": 0.2, "test": 0.2}
    node = {"name": "invertible", "flow": {"name": "real-nvp", "hidden": [16]}, "steps": 2}
    training = {"epochs": 10, "batch_size": 50, "validate_every": 10}
    optimiser = {"name": "adam", "lr": 5e-3}
    recipe = resolve({"data": data, "model": node, "objective": "elbo", "optimiser": optimiser, "training": training})
    found = execute(recipe, Store.create(tmp_path / "store"), Circumstances())["estimates"]
    assert (found["rate"]["value"], found["rates"]) == (0.0, [])
    entropy = np.log(2 * np.pi * np.e) + np.log(2.0 * 0.5)  # of the Gaussian the table was drawn from
    assert abs(found["neg_elbo"]["value"] - entropy) < 5 * found["neg_elbo"]["stderr"] + 0.1


def test_data_it_cannot_score_is_refused_in_one_line() -> None:
    x = np.zeros((20, 1, 8, 8), np.uint8)
    images = Dataset("images", Support.BINARY, Split(x), Split(x), Split(x))
    with pytest.raises(UserError, match="real-valued vectors, but 'images' is binary") as caught:
        model("real-nvp", images)
    assert "use model 'vae'" in str(caught.value)

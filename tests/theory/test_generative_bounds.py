"""G, U and S with a density of the data, on tables where every one of them is a sum."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.estimators import ESTIMATORS
from ratelab.evaluation import evaluate
from ratelab.exact.sampling import overfitting_target
from ratelab.exact.tables import FiniteTables
from ratelab.models import MODELS
from ratelab.runs import Circumstances, execute, from_mapping, single
from ratelab.store import Store

STATES, CODES, N = 6, 3, 20_000
NODE = ESTIMATORS.resolve("generative-bounds", "e")


class Table(torch.nn.Module):
    """A density q(x) of states."""

    event_shape: tuple[int, ...] = ()

    def __init__(self, q: Tensor) -> None:
        super().__init__()
        self.q = q

    def log_prob(self, x: Tensor) -> Tensor:
        return self.q.log()[x.long()].float()


def world(seed: int) -> tuple[Model, Dataset, FiniteTables]:
    """A model of tables, and data whose shares are the law itself: every expectation over examples is a sum."""
    torch.manual_seed(seed)
    counts = torch.randint(1, 9, (STATES,))
    law = counts.double() / counts.sum()
    states = np.repeat(np.arange(STATES), (counts * (N // int(counts.sum()))).numpy()).astype(np.float32)
    split = Split(states)
    dataset = Dataset("states", Support.REAL, split, split, split)
    model = MODELS.build(
        MODELS.resolve({"name": "tables", "states": STATES, "latent_states": CODES, "init": 1.0}, "m"), dataset
    )
    parts = (model.encoder_table, model.decoder_table, model.marginal_table)
    return model, dataset, FiniteTables(law, *(part.detach().double().softmax(-1) for part in parts))


def found(model: Model, dataset: Dataset, q: Tensor) -> dict[str, Any]:
    nodes = [NODE, ESTIMATORS.resolve("generative-information", "e"), ESTIMATORS.resolve("rate-distortion", "e")]
    return evaluate(model, dataset, "test", nodes, seed=0, helper=lambda *_: Table(q))[0]  # type: ignore[arg-type, return-value]


@pytest.mark.spec("RD15", "RD16", "RD17")
@pytest.mark.parametrize("seed", range(5))
def test_on_tables_every_number_is_its_sum(seed: int) -> None:
    model, dataset, tables = world(seed)
    q = torch.rand(STATES, dtype=torch.float64) + 0.1
    q = q / q.sum()
    numbers = found(model, dataset, q)
    g, u = numbers["generative_information_upper"], numbers["u"]
    assert abs(g.value - float(tables.g_functional(q))) < 4 * g.stderr
    assert g.bound == "upper"
    assert (
        numbers["generative_information"].value < float(tables.model_information) + 4 * numbers["generative_information"].stderr
    )
    assert float(tables.model_information) < g.value + 4 * g.stderr
    assert u.value == pytest.approx(float(tables.u_functional(q)), abs=1e-5)
    s = float(tables.s_functional(q))
    entropy = numbers["cross_entropy"].value - s
    assert entropy == pytest.approx(float(tables.entropy), abs=1e-5)
    assert u.value - s == pytest.approx(entropy - numbers["distortion"].value, abs=1e-5)
    assert u.value - s <= float(tables.encoder_information) + 1e-5 <= numbers["rate"].value + 2e-5
    assert numbers["s_target"].value - s == pytest.approx(overfitting_target(entropy, len(dataset.train)), abs=1e-5)
    assert numbers["s_target"].bound == "upper"


@pytest.mark.spec("RD15")
def test_the_bound_from_above_is_tight_where_the_density_is_the_models_own() -> None:
    model, dataset, tables = world(7)
    g = found(model, dataset, tables.model_marginal)["generative_information_upper"]
    assert abs(g.value - float(tables.model_information)) < 4 * g.stderr


@pytest.mark.spec("RD17")
def test_a_density_that_knows_the_sample_by_heart_lies_at_zero_and_the_law_at_the_target() -> None:
    """Five distinct of 64 equally likely states, learnt or not."""
    sample = np.arange(5, dtype=np.float32)
    whole = Split(np.arange(64, dtype=np.float32))
    dataset = Dataset("states", Support.REAL, Split(sample), whole, whole)
    model = MODELS.build(MODELS.resolve({"name": "tables", "states": 64, "latent_states": 2, "init": 1.0}, "m"), dataset)
    law = torch.full((64,), 1 / 64, dtype=torch.float64)
    learnt = torch.full((64,), 1e-9, dtype=torch.float64)
    learnt[:5] = 0.2
    by_law, by_heart = found(model, dataset, law), found(model, dataset, learnt)
    assert by_law["s_sample"].value == pytest.approx(overfitting_target(math.log(64), 5), abs=1e-5)
    assert by_law["s_target"].value == pytest.approx(by_law["s_sample"].value, abs=1e-5)
    assert by_heart["s_sample"].value == pytest.approx(0.0, abs=1e-5)
    assert by_heart["s_target"].value > by_law["s_target"].value


def recipe(place: Path, density: str, **model: Any) -> Any:
    (place / "density.yaml").write_text(density)
    small = {"name": "mlp", "hidden": [8]}
    node = {
        "name": "vae", "latent_dim": 2, "encoder": {"name": "gaussian", "network": small},
        "decoder": {"name": "bernoulli", "network": small}, **model,
    }  # fmt: skip
    given = {
        "data": {"name": "digits", "limit": 100},
        "model": node,
        "objective": {"name": "beta"},
        "training": {"epochs": 1, "batch_size": 50},
        "evaluation": {
            "estimators": ["generative-information", {"name": "generative-bounds", "density": str(place / "density.yaml")}]
        },
    }
    return single(from_mapping(given, "test"), ())


DENSITY = (
    "{data: digits, model: {name: density, law: {name: gated-pixelcnn, features: 4, layers: 1}}, objective: beta, "
    "training: {epochs: 2, batch_size: 20}}"
)


def test_the_density_is_a_run_of_the_models_own_data_and_has_a_place_on_its_plane(tmp_path: Path) -> None:
    from ratelab.analysis.plane import plane

    store = Store.create(tmp_path / "runs")
    results = execute(recipe(tmp_path, DENSITY), store, Circumstances())
    numbers, used = results["estimates"], results["helpers"]["generative-bounds"]
    helper = store.run(used["run"]).results() or {}
    assert helper["recipe"]["data"]["name"] == "digits"
    assert helper["estimates"]["rate"]["value"] == 0
    assert numbers["cross_entropy"]["value"] == pytest.approx(helper["estimates"]["distortion"]["value"], rel=1e-4)
    assert numbers["generative_information"]["value"] < numbers["generative_information_upper"]["value"]
    assert {p.run for p in plane(store.path).shown} == {results["run"], used["run"]}


@pytest.mark.parametrize(("density", "model", "says"), [
    ("{data: digits, model: vae, objective: beta}", {}, "is a recipe of model 'vae'; name one of model 'density'"),
    (DENSITY.replace("layers: 1", "layers: 1, pixels: categorical"), {}, "its pixels are levels data, but 'digits' is binary"),
    (DENSITY.replace("features: 4", "feature: 4"), {}, "unknown key 'feature'; did you mean 'features'"),
])  # fmt: skip
def test_a_density_that_does_not_fit_is_refused_before_training(tmp_path: Path, density: str, model: Any, says: str) -> None:
    store = Store.create(tmp_path / "runs")
    with pytest.raises(UserError, match=says) as caught:
        execute(recipe(tmp_path, density, **model), store, Circumstances())
    assert "\n" not in str(caught.value)
    assert not store.runs()

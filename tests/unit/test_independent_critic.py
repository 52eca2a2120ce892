"""The independent Wasserstein critic: nothing between identical sets, more the further they are apart, and never of what it has seen."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from toys import taught

from ratelab.core.batch import Batch, LiveNoise, Noise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.core.objective import Setting
from ratelab.core.passes import Pass
from ratelab.estimators import ESTIMATORS
from ratelab.evaluation import evaluate
from ratelab.models import MODELS
from ratelab.objectives import OBJECTIVES
from ratelab.runs import Circumstances, execute, from_mapping, single
from ratelab.store import Store

OPTIONS = {
    "network": {"name": "mlp", "hidden": [32, 32], "activation": "leaky-relu"},
    "steps": 300,
    "batch_size": 100,
    "lr": 1e-3,
}


def table(n: int = 4000) -> Dataset:
    rng = np.random.default_rng(0)
    splits = [Split(rng.standard_normal((n, 2)).astype(np.float32)) for _ in range(3)]
    return Dataset("normal", Support.REAL, *splits)


class Generator(torch.nn.Module):
    """A model without likelihood: draws of N(shift, I)."""

    target, conditioning = "x", None

    def __init__(self, shift: float) -> None:
        super().__init__()
        self.shift, self.event_shape = shift, (2,)

    def generate(self, n: int, noise: Noise) -> Pass:
        x = noise.normal((n, 2)) + torch.tensor([self.shift, 0.0])
        return Pass(Batch(x), x, (), None, origin="model")

    def forward(self, batch: Batch, noise: Noise, samples: int = 1, path: bool = True) -> Pass:
        return Pass(batch, batch.x, (), None)


def scores(shift: float, seed: int = 0) -> dict[str, Any]:
    dataset, model = table(), Generator(shift)
    node = ESTIMATORS.resolve({"name": "wasserstein", **OPTIONS, "seed": seed}, "e")
    swapped = Dataset("normal", Support.REAL, dataset.validation, dataset.train, dataset.test)
    critic = taught(node, model, swapped)  # type: ignore[arg-type]
    return evaluate(model, dataset, "test", [node], seed=seed, helper=lambda *_: critic)[0]  # type: ignore[arg-type]


@pytest.mark.spec("DM14")
def test_the_score_is_zero_for_identical_laws_and_grows_with_the_shift() -> None:
    """W_1 of a law and itself moved by c is c; the penalised critic comes near it."""
    found = {shift: scores(shift) for shift in (0.0, 0.5, 1.0, 2.0)}
    same = found[0.0]["wasserstein"]
    assert abs(same.value) < 4 * same.stderr
    assert same.bound == "estimate"
    values = [found[shift]["wasserstein"].value for shift in (0.0, 0.5, 1.0, 2.0)]
    assert values == sorted(values)
    for shift in (0.5, 1.0, 2.0):
        assert found[shift]["wasserstein"].value == pytest.approx(shift, rel=0.3)
        gap = found[shift]["wasserstein_train"].value - found[shift]["wasserstein"].value
        assert abs(gap) < 6 * found[shift]["wasserstein"].stderr, "this model has learnt from neither split"


@pytest.mark.spec("DM14")
def test_a_model_that_repeats_its_training_examples_scores_lower_on_them(tmp_path: Path) -> None:
    """Draws are training examples; held-out examples are of a law that lies elsewhere."""
    node = ESTIMATORS.resolve("wasserstein", "e")

    class Linear(torch.nn.Module):
        def score(self, x: Tensor) -> Tensor:
            return x.flatten(1).sum(-1)

    dataset = Dataset("apart", Support.REAL, *(Split(np.full((50, 2), v, dtype=np.float32)) for v in (0.0, 1.0, 1.0)))

    class Copies(Generator):
        def generate(self, n: int, noise: Noise) -> Pass:
            x = torch.zeros(n, 2)
            return Pass(Batch(x), x, (), None, origin="model")

    found = evaluate(Copies(0.0), dataset, "test", [node], seed=0, helper=lambda *_: Linear())[0]  # type: ignore[arg-type, return-value]
    assert (found["wasserstein"].value, found["wasserstein_train"].value) == (2.0, 0.0)  # type: ignore[union-attr]


def digits(**changes: Any) -> Any:
    small = {"name": "mlp", "hidden": [8]}
    given = {
        "data": {"name": "digits", "limit": 100},
        "model": {"name": "vae", "latent_dim": 2, "encoder": {"name": "gaussian", "network": small},
                  "decoder": {"name": "bernoulli", "network": small}},
        "objective": {"name": "beta"},
        "training": {"epochs": 1, "batch_size": 50},
        "evaluation": {"estimators": [{"name": "wasserstein", "steps": 10, **changes}]},
    }  # fmt: skip
    return single(from_mapping(given, "test"), ())


def test_the_critic_learns_from_the_validation_split_as_a_run_of_the_store(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "runs")
    results = execute(digits(), store, Circumstances())
    assert {"wasserstein", "wasserstein_train"} <= set(results["estimates"])
    helper = store.run(results["helpers"]["wasserstein"]["run"])
    rows = helper.log()
    assert {"train/distance", "train/steepness"} <= set(rows[-1])
    assert (helper.results() or {})["recipe"]["model"]["of"] == results["run"]


@pytest.mark.parametrize(("changes", "says"), [
    ({"network": {"name": "colormnist"}}, "batch normalisation mixes; set norm: none"),
    ({"penalty": -1.0}, "penalty.*greater than or equal to 0"),
    ({"steps": 0}, "steps.*greater than or equal to 1"),
    ({"critic": "any"}, "unknown key 'critic'"),
])  # fmt: skip
def test_a_critic_that_cannot_be_is_one_line(tmp_path: Path, changes: Any, says: str) -> None:
    store = Store.create(tmp_path / "runs")
    with pytest.raises(UserError, match=says) as caught:
        execute(digits(**changes), store, Circumstances())
    assert "\n" not in str(caught.value)
    assert not store.runs()


def test_critics_are_no_models_of_examples() -> None:
    model, dataset = Generator(0.0), table(10)
    critic: Model = MODELS.build(MODELS.resolve({"name": "sample-critic", "of": "it"}, "m"), dataset, model)
    for call in (
        lambda: critic.generate(3, LiveNoise(0)),
        lambda: critic.decode(()),
        lambda: critic.log_joint(torch.zeros(1), ()),
    ):
        with pytest.raises(UserError, match="has no latents and generates nothing"):
            call()
    plain = OBJECTIVES.build(OBJECTIVES.resolve("discrimination", "o"), Setting((2,), (), 1, 1))
    with pytest.raises(UserError, match="trains critics"):
        plain.players(model)  # type: ignore[arg-type]

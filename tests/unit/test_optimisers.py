"""Optimisers other than Adam: their steps by hand, their schedules, exact resume, and that they train models one by one."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.objective import Setting
from ratelab.models import MODELS
from ratelab.objectives import OBJECTIVES
from ratelab.runs import expand, read_recipe
from ratelab.training import OPTIMISERS, Plan, Trainer, refusal
from ratelab.training.optimisers import Adadelta, Sgd

NODES = [
    {"name": "sgd", "momentum": 0.0},
    {"name": "sgd", "weight_decay": 5e-4, "constant": 0.0},
    {"name": "adadelta", "decay": 0.7},
]


def walked(optimiser: Sgd | Adadelta, weight: nn.Parameter, steps: int) -> float:
    """The weight after steps on (w - 1)^2."""
    for _ in range(steps):
        (weight - 1).square().sum().backward()
        optimiser.step()
    return weight.item()


def test_momentum_and_weight_decay_are_those_of_the_formula() -> None:
    weight, velocity, w = nn.Parameter(torch.tensor(3.0)), 0.0, 3.0
    for _ in range(4):
        velocity = 0.9 * velocity + (2 * (w - 1) + 5e-4 * w)
        w -= 0.1 * velocity
    assert walked(Sgd([weight], lr=0.1, momentum=0.9, weight_decay=5e-4), weight, 4) == pytest.approx(w, rel=1e-6)


def test_steps_of_adadelta_have_the_size_of_recent_ones() -> None:
    weight, squares, moves, w = nn.Parameter(torch.tensor(3.0)), 0.0, 0.0, 3.0
    for _ in range(4):
        gradient = 2 * (w - 1)
        squares = 0.9 * squares + 0.1 * gradient**2
        move = math.sqrt(moves + 1e-6) / math.sqrt(squares + 1e-6) * gradient
        moves = 0.9 * moves + 0.1 * move**2
        w -= 0.5 * move
    assert walked(Adadelta([weight], lr=0.5), weight, 4) == pytest.approx(w, rel=1e-6)


def test_rates_fall_as_their_schedules_say() -> None:
    weight = [nn.Parameter(torch.zeros(1))]
    steps = Adadelta(weight, lr=1.0, decay=0.7)
    assert [steps.at(e, 14) for e in (0, 1, 2, 13)] == pytest.approx([1.0, 0.7, 0.49, 0.7**13])
    assert steps.inner.param_groups[0]["lr"] == pytest.approx(0.7**13)
    cosine = Sgd(weight, lr=0.01, constant=0.0)
    assert [cosine.at(e, 60) for e in (0, 15, 30, 60)] == pytest.approx([0.01, 0.005 * (1 + math.cos(math.pi / 4)), 0.005, 0.0])
    late = Sgd(weight, lr=0.01, constant=0.5)
    assert [late.at(e, 60) for e in (0, 30, 45, 60)] == pytest.approx([0.01, 0.01, 0.005, 0.0])
    assert Sgd(weight, lr=0.01, constant=0.5, fall="linear").at(37.5, 60) == pytest.approx(0.0075)
    assert {Sgd(weight, lr=0.01).at(e, 60) for e in (0, 59)} == {0.01}


def trainer(node: dict[str, object]) -> Trainer:
    bits = Split((np.random.default_rng(0).random((57, 1, 4, 4)) < 0.3).astype(np.uint8))
    dataset = Dataset("bits", Support.BINARY, bits, bits, bits)
    small = {"name": "mlp", "hidden": [8]}
    parts = {"encoder": {"name": "gaussian", "network": small}, "decoder": {"name": "bernoulli", "network": small}}
    torch.manual_seed(0)
    model = MODELS.build(MODELS.resolve({"name": "vae", "latent_dim": 2, **parts}, "model"), dataset)
    objective = OBJECTIVES.build({"name": "beta"}, Setting(model.event_shape, model.latent_shapes, 4, 57))
    return Trainer(model, objective, dataset, OPTIMISERS.resolve(node, "optimiser"), Plan(epochs=4, batch_size=25), seed=1)


@pytest.mark.parametrize("node", NODES, ids=str)
def test_a_training_stopped_and_continued_ends_bit_for_bit_as_if_it_had_not_been(node: dict[str, object]) -> None:
    whole, half = trainer(node), trainer(node)
    before = copy.deepcopy(whole.model.state_dict())
    for _ in range(2):
        half.run_epoch()
    again = trainer(node)
    again.restore(half.save())
    while not whole.done:
        whole.run_epoch()
    while not again.done:
        again.run_epoch()
    assert all(torch.equal(value, again.model.state_dict()[name]) for name, value in whole.model.state_dict().items())
    assert not all(torch.equal(value, before[name]) for name, value in whole.model.state_dict().items())


@pytest.mark.parametrize("node", NODES, ids=str)
def test_only_adam_trains_models_side_by_side(node: dict[str, object]) -> None:
    assert "does not stack" in str(refusal(trainer(node)))
    assert refusal(trainer({"name": "adam"})) is None


@pytest.mark.parametrize(("recipe", "network", "optimiser", "epochs", "batch"), [
    ("mnist-classifier", "mnist", {"name": "adadelta", "lr": 1.0, "decay": 0.7}, 14, 64),
    ("svhn-classifier", "resnet-18", {"name": "sgd", "lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4, "constant": 1.0}, 14, 256),
    ("cifar-10-classifier", "densenet-121", {"name": "sgd", "lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4, "constant": 0.0,
                                             "fall": "cosine"}, 60, 256),
])  # fmt: skip
def test_the_papers_classifiers_are_trained_as_its_code_does(
    recipe: str, network: str, optimiser: dict[str, object], epochs: int, batch: int
) -> None:
    (found,) = expand(read_recipe(f"xiao2023/{recipe}"))
    assert found.model["network"]["name"] == network
    assert found.optimiser.items() >= optimiser.items()
    assert (found.training.epochs, found.training.batch_size) == (epochs, batch)

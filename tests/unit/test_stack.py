"""A run trained in a stack equals the run trained alone: same initial weights, same batches, same noise."""

import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ratelab.core.errors import UserError
from ratelab.core.objective import Setting
from ratelab.models import MODELS
from ratelab.objectives import OBJECTIVES
from ratelab.training import OPTIMISERS, Plan, StackTrainer, Trainer, Unstackable, refusal, unpack

sys.path.insert(0, str(Path(__file__).parents[1] / "contract"))
from test_players import Adversarial
from test_players import trainer as adversaries
from toys import CASES

STEPS = 50  # 25 epochs of 2 steps: 60 examples, 30 at a time


def trainer(
    case: str = "vae",
    objective: dict[str, Any] | str = "beta",
    seed: int = 0,
    optimiser: dict[str, Any] | None = None,
    **plan: Any,
) -> Trainer:
    node, make = CASES[case]
    dataset = make()
    torch.manual_seed(seed)
    model = MODELS.build(MODELS.resolve(node, "model"), dataset)
    settings = Plan.model_validate({"epochs": STEPS // 2, "batch_size": 30, "validate_every": 10, **plan})
    setting = Setting(model.event_shape, model.latent_shapes, settings.epochs, len(dataset.train))
    built = OBJECTIVES.build(OBJECTIVES.resolve(objective, "objective"), setting)
    options = {"name": "adam", "lr": 2e-3, **(optimiser or {})}
    return Trainer(model, built, dataset, OPTIMISERS.resolve(options, "optimiser"), settings, seed)


def clockless(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "seconds"}


def alone(member: Trainer) -> list[dict[str, Any]]:
    rows = []
    while not member.done:
        rows.append(clockless(member.run_epoch()))
    return rows


def stacked(members: list[Trainer]) -> list[list[dict[str, Any]]]:
    stack = StackTrainer({str(i): member for i, member in enumerate(members)})
    rows: list[list[dict[str, Any]]] = [[] for _ in members]
    while not stack.done:
        for name, row in stack.run_epoch().items():
            rows[int(name)].append(clockless(row))
    return rows


def assert_close(ours: Any, theirs: Any, tolerance: float = 1e-4, nats: float = 0.1) -> None:
    """``nats``: the size beside which a small number, like a rate near 0, may be off; in a row of the log, the distortion."""
    if isinstance(ours, (list, tuple)):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert_close(a, b, tolerance, nats)
    elif isinstance(ours, dict):
        assert ours.keys() == theirs.keys()
        for key in ours:
            size = abs(theirs.get("train/distortion", nats)) if key != "lr" else 0.0
            assert_close(ours[key], theirs[key], tolerance, size if math.isfinite(size) else nats)
    else:
        assert ours == pytest.approx(theirs, rel=tolerance, abs=tolerance * nats, nan_ok=True)


REQUIRED = {"rate": 4.0, "distortion": 30.0, "entropy": 20.0}  # what an objective must be told, in nats


SMALL = {
    "geco": {"rate": 4.0},
    "adversarial-autoencoder": {
        "width": 64
    },  # a wide discriminator makes much of rounding: the two players' game is a chaotic one
}


def node_of(name: str) -> dict[str, Any]:
    """An objective by name, with numbers for what it has no default for."""
    fields = OBJECTIVES[name].schema.model_fields.items()
    required = {key: REQUIRED[key] for key, field in fields if field.is_required()}
    return {"name": name, **required, **SMALL.get(name, {})}


QUICK = {
    "vae",
    "vae, gated convolutions",
    "hierarchy of four",
    "vae, maf marginal",
    "vae, vamp on a standardised table",
    "tables",
}


@pytest.mark.parametrize("case", [case if case in QUICK else pytest.param(case, marks=pytest.mark.slow) for case in CASES])
def test_any_network_trains_in_a_stack_as_alone(case: str) -> None:
    rateless = case in {"vae, implicit", "vae, deterministic"}

    def make(seed: int) -> Trainer:
        divergence = {"name": "infovae", "alpha": 1.0, "scale": 1.0 + seed}
        return trainer(case, divergence if rateless else {"name": "beta", "beta": 0.5 + seed}, seed)

    if refusal(make(0)) is not None:
        pytest.skip("does not claim to stack")
    assert_close(stacked([make(seed) for seed in range(3)]), [alone(make(seed)) for seed in range(3)])


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("case", ["vae", pytest.param("hierarchy of two", marks=pytest.mark.slow)])
def test_any_objective_trains_in_a_stack_as_alone(case: str, name: str) -> None:
    def make(seed: int) -> Trainer:
        return trainer(case, node_of(name), seed)

    try:
        make(0)
    except UserError as error:
        pytest.skip(str(error))
    if refusal(make(0)) is not None:
        pytest.skip("does not claim to stack")
    assert_close(stacked([make(seed) for seed in range(3)]), [alone(make(seed)) for seed in range(3)])


def test_capacities_that_open_at_other_paces_train_in_a_stack_as_alone() -> None:
    def make(seed: int) -> Trainer:
        return trainer("vae", {"name": "capacity", "rate": 2.0 + seed, "opening": [0.2, 0.5, 1.0][seed]}, seed)

    assert_close(stacked([make(seed) for seed in range(3)]), [alone(make(seed)) for seed in range(3)])


LAYERED: list[dict[str, list[list[float]]]] = [
    {"beta": [[0.5, 1.0], [2.0, 0.1], [1.0, 1.0]], "annealing": [[0.0, 20.0], [10.0, 0.0], [5.0, 5.0]]},
    {"bits": [[0.5, 0.1], [0.0, 1.0], [2.0, 0.2]], "annealing": [[0.0, 20.0], [10.0, 0.0], [5.0, 5.0]]},
]


@pytest.mark.parametrize("numbers", LAYERED, ids=["beta", "free-bits"])
def test_numbers_of_layers_train_in_a_stack_as_alone(numbers: dict[str, list[list[float]]]) -> None:
    """Prices, free bits and warm-ups, one per layer and other ones in each member; one is cut and goes on to the same bits."""
    name = "beta" if "beta" in numbers else "free-bits"

    def make(seed: int) -> Trainer:
        options = {option: values[seed] for option, values in numbers.items()}
        return trainer("hierarchy of two", {"name": name, **options}, seed)

    whole = alone(make(1))
    assert_close(stacked([make(seed) for seed in range(3)]), [alone(make(0)), whole, alone(make(2))])
    head = make(1)
    rows = [clockless(head.run_epoch()) for _ in range(4)]
    tail = make(1)
    tail.restore(head.save())
    assert rows + alone(tail) == whole


BETA = {"name": "beta", "beta": 0.5, "annealing": 10.0}
WHOLE = {"normalise": True, "clip": 0.5, "constant": 0.5, "lr": 3e-2}


def betas(**options: Any) -> list[Trainer]:
    return [trainer(objective={**BETA, "beta": 0.25 * 4**seed}, seed=seed, **options) for seed in range(3)]


def test_norms_schedules_ragged_batches_and_early_stopping_are_each_members_own() -> None:
    options: dict[str, Any] = {"optimiser": WHOLE, "batch_size": 25, "validate_every": 1, "early_stopping": {"patience": 1}}
    ours, theirs = betas(**options), betas(**options)
    rows, lone = stacked(ours), [alone(member) for member in theirs]
    assert len({len(r) for r in rows}) > 1, "all members stopped together; choose other betas"
    assert_close(rows, lone)
    for a, b in zip(ours, theirs, strict=True):
        assert (a.status, a.progress.best_epoch) == (b.status, b.progress.best_epoch)
        for mine, other in zip(a.best.values(), b.best.values(), strict=True):
            assert torch.allclose(mine, other, rtol=1e-3, atol=1e-4)


def test_a_member_that_diverges_leaves_with_its_last_good_weights_and_the_others_go_on() -> None:
    members = betas()
    stack = StackTrainer({str(i): member for i, member in enumerate(members)})
    stack.run_epoch()
    good = {name: value.clone() for name, value in members[1].model.state_dict().items()}
    stack.sides.stacked["objective.beta"][1] = torch.nan
    assert set(stack.run_epoch()) == {"0", "1", "2"}
    assert members[1].status == "diverged"
    assert all(torch.equal(value, good[name]) for name, value in members[1].model.state_dict().items())
    members[1].restore(members[1].save())
    assert set(stack.run_epoch()) == {"0", "2"}
    assert_close([clockless(row) for row in stack.run_epoch().values()], [alone(betas()[i])[3] for i in (0, 2)])


@pytest.mark.parametrize("cut", [1, 6])
def test_a_stack_cut_and_continued_is_bit_identical(cut: int) -> None:
    options: dict[str, Any] = {"validate_every": 1, "epochs": 12}
    whole = betas(**options)
    rows = stacked(whole)
    first = StackTrainer({str(i): member for i, member in enumerate(betas(**options))})
    head = [first.run_epoch() for _ in range(cut)]
    again = betas(**options)
    for name, (tensors, facts) in unpack(first.save(), "the stack").items():
        again[int(name)].load_full_state(tensors, facts, "the stack")
    tail = stacked(again)
    for i, member in enumerate(whole):
        assert [clockless(row[str(i)]) for row in head] + tail[i] == rows[i]
        assert member.save() == again[i].save()


def test_two_players_take_their_turns_in_a_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Adversarial, "__module__", "ratelab.of_the_tests")
    assert_close(stacked([adversaries(seed, 10) for seed in range(3)]), [alone(adversaries(seed, 10)) for seed in range(3)])


class Seen(TorchDispatchMode):
    """Notes down which tensor operations are run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        self.names.add(str(func))
        return func(*args, **(kwargs or {}))


def test_a_step_is_made_of_batched_products_with_their_biases_and_one_softplus() -> None:
    stack = StackTrainer({str(i): member for i, member in enumerate(betas())})
    stack.run_epoch()
    with Seen() as seen:
        stack.run_epoch()
    assert {"aten.baddbmm.default", "aten.softplus.default"} <= seen.names
    assert not {"aten.addmm.default", "aten.log_.default", "aten.log1p.default"} & seen.names


def test_a_member_may_go_on_alone() -> None:
    first = StackTrainer({str(i): member for i, member in enumerate(betas())})
    for _ in range(5):
        first.run_epoch()
    lone = betas()[1]
    lone.restore(first.members["1"].save())
    assert_close(alone(lone), alone(betas()[1])[5:])


def test_numbers_of_the_optimiser_are_each_members_own() -> None:
    numbers: list[dict[str, Any]] = [
        {"lr": 1e-3}, {"lr": 1e-3}, {"lr": 3e-2, "constant": 0.5}, {"clip": 0.5}, {"betas": (0.5, 0.9), "eps": 1e-3, "clip": 0.1},
    ]  # fmt: skip

    def make() -> list[Trainer]:
        return [trainer(seed=seed, optimiser=own) for seed, own in enumerate(numbers)]

    ours = make()
    rows = stacked(ours)
    assert_close(rows, [alone(member) for member in make()])
    assert [row[0]["lr"] for row in rows] == [1e-3, 1e-3, 3e-2, 2e-3, 2e-3]
    assert rows[2][-1]["lr"] < 3e-2


@pytest.mark.parametrize(
    "other",
    [
        {"case": "hierarchy of one"},
        {"objective": {**BETA, "cycles": 2}},
        {"objective": {"name": "iwae", "samples": 2}},
        {"optimiser": {"normalise": True}},
        {"epochs": 3},
        {"batch_size": 20},
    ],
)
def test_members_that_differ_in_more_than_numbers_are_refused(other: dict[str, Any]) -> None:
    first = trainer(objective=BETA)
    with pytest.raises(Unstackable, match="differ in more than numbers"):
        StackTrainer({"0": first, "1": trainer(**{"objective": BETA, **other})})
    StackTrainer({"0": first, "1": trainer(objective={**BETA, "beta": 3.0, "annealing": 5.0}, seed=5)})


def test_one_number_and_one_per_layer_are_told_apart() -> None:
    one, each = ({"name": "free-bits", "bits": bits} for bits in (0.5, [0.5, 0.5]))
    with pytest.raises(Unstackable, match="differ in more than numbers"):
        StackTrainer({"0": trainer("hierarchy of two", one), "1": trainer("hierarchy of two", each)})


def test_what_changes_in_the_forward_pass_is_refused() -> None:
    member = trainer()
    member.model.encoder.network.layers.append(torch.nn.Dropout())
    with pytest.raises(Unstackable, match="'Dropout' changes or draws in the forward pass"):
        StackTrainer({"0": member})

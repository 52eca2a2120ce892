"""On a GPU everything is as on a CPU: passes to rounding, training, checkpoints, stacks, and what estimators find."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from test_objectives import served
from toys import CASES, NO_EXAMPLES, REMEMBERS, batch_of, build, taught

from ratelab.core.batch import Batch, LiveNoise, RecordedNoise, ReplayedNoise
from ratelab.core.dataset import Dataset
from ratelab.core.errors import UserError
from ratelab.core.estimator import Result
from ratelab.core.model import Model
from ratelab.core.objective import Setting
from ratelab.estimators import ESTIMATORS
from ratelab.evaluation import evaluate, latents
from ratelab.models.critics import CodeCritic
from ratelab.objectives import OBJECTIVES
from ratelab.training import OPTIMISERS, Plan, StackTrainer, Trainer, refusal
from ratelab.training.loop import load_weights
from ratelab.training.precision import repeatable

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def there(batch: Batch) -> Batch:
    x, index, y = (None if part is None else part.cuda() for part in (batch.x, batch.index, batch.y))
    assert x is not None
    return Batch(x, index, batch.epoch, y)


def trainer(case: str, seed: int = 0, epochs: int = 2, device: str = "cuda", **objective: Any) -> Trainer:
    model, dataset = build(case, seed)
    built = OBJECTIVES.build(
        OBJECTIVES.resolve({"name": "beta", **objective}, "objective"),
        Setting(model.event_shape, model.latent_shapes, epochs, 60),
    )
    plan = Plan(epochs=epochs, batch_size=30, validate_every=1)
    return Trainer(model, built, dataset, OPTIMISERS.resolve("adam", "optimiser"), plan, seed, device)


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_a_pass_is_the_same_to_rounding(case: str) -> None:
    model, dataset = build(case)
    batch, noise = batch_of(dataset), RecordedNoise(LiveNoise(0))
    here = model.eval()(batch, noise)
    known = here.rates, here.distortion  # a law may look up parameters that are about to move
    with repeatable(torch.device("cuda")):
        seen = model.cuda()(there(batch), ReplayedNoise([draw.cuda() for draw in noise.draws]))
        found = seen.rates, seen.distortion
    for ours, theirs in zip(known, found, strict=True):
        assert theirs.is_cuda
        assert torch.allclose(ours, theirs.cpu(), rtol=1e-5, atol=1e-4, equal_nan=True), case


@pytest.mark.parametrize("case", CASES)
def test_it_trains_and_continues(case: str) -> None:
    objective = {"name": "vim"} if case in {"vae, implicit", "vae, deterministic"} else {}
    run = trainer(case, **objective)
    run.run_epoch()
    saved = run.save()
    run.run_epoch()
    assert run.status == "done"
    again = trainer(case, **objective)
    again.restore(saved)
    again.run_epoch()
    assert again.status == "done"
    for name, value in again.model.state_dict().items():
        assert value.is_cuda
        assert torch.equal(value, run.model.state_dict()[name]), (case, name)
    load_weights(build(case)[0], run.weights(), "the weights")


def test_a_training_continues_where_it_began() -> None:
    run = trainer("vae")
    run.run_epoch()
    with pytest.raises(UserError, match="was made on another device"):
        trainer("vae", device="cpu").restore(run.save())


@pytest.mark.parametrize("case", [case for case in CASES if case not in (*NO_EXAMPLES, *REMEMBERS)])
def test_latents_and_examples_come_back_to_main_memory(case: str) -> None:
    model, dataset = build(case)
    x = dataset.test.x[:4] * np.float32(dataset.scale)
    model.cuda().eval()
    for give in (
        lambda: latents.sample(model, 3, 0),
        lambda: latents.reconstruct(model, x, 0),
        lambda: latents.encode(model, x, 0),
        lambda: latents.interpolate(model, x[:1], x[1:2]),
    ):
        try:
            found = give()
        except UserError:
            continue
        for values in found.values() if isinstance(found, dict) else [found] if isinstance(found, np.ndarray) else found:
            assert isinstance(values, np.ndarray)
            assert np.isfinite(values).all()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_takes_a_step(name: str) -> None:
    chosen, model, dataset = served(name)
    if isinstance(model, CodeCritic):
        model.subject.model.cuda()
    plan = Plan(epochs=1, batch_size=30, validate_every=1)
    run = Trainer(model, chosen, dataset, OPTIMISERS.resolve("adam", "optimiser"), plan, 0, "cuda")
    row = run.run_epoch()
    assert run.status == "done", row


def numbers(found: Result) -> list[Any]:
    return found if isinstance(found, list) else [found]


def measured(model: Model, dataset: Dataset, node: dict[str, Any], device: str) -> dict[str, Result]:
    def helper(node: dict[str, Any], model: Model) -> Model:
        with torch.enable_grad():
            made = taught(node, model.cpu(), dataset)
        model.to(device)
        return made.to(device)

    return evaluate(model, dataset, "train", [node], 0, device=device, helper=helper)[0]


QUICK: dict[str, dict[str, Any]] = {
    "iwae": {"samples": 50},
    "ais": {"temperatures": 10},
    "bidirectional": {"temperatures": 10},
    "annealed-curve": {"temperatures": 10},
    "psnr": {"range": 1.0},
}


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("case", ["vae", "hierarchy of two", "vae, maf marginal", "vae, real-nvp flow that sees x"])
def test_every_estimator_finds_the_same(case: str, name: str) -> None:
    """Within five standard errors of the difference, from draws of other generators."""
    model, dataset = build(case)
    try:
        node = ESTIMATORS.resolve({"name": name, **QUICK.get(name, {})}, "e")
        if "steps" in node:
            node["steps"] = 50
        here = measured(model, dataset, node, "cpu")
    except (UserError, TypeError, KeyError) as error:
        pytest.skip(f"does not measure this: {error}")
    model, _ = build(case)
    for key, found in measured(model, dataset, node, "cuda").items():
        for ours, theirs in zip(numbers(here[key]), numbers(found), strict=True):
            error = math.hypot(ours.stderr, theirs.stderr)
            if math.isfinite(error) and ours.bound != "estimate":
                assert abs(ours.value - theirs.value) <= 5 * error + 1e-3 * abs(ours.value), key
            assert math.isfinite(ours.value) == math.isfinite(theirs.value), key


@pytest.mark.parametrize("case", ["vae", "vae, gated convolutions", "hierarchy of two", "vae, maf marginal"])
def test_a_stack_trains_as_alone(case: str) -> None:
    def members() -> list[Trainer]:
        return [trainer(case, seed, epochs=5, beta=0.5 + seed) for seed in range(3)]

    if refusal(members()[0]) is not None:
        pytest.skip("does not claim to stack")
    stack, alone = StackTrainer({str(i): member for i, member in enumerate(members())}), members()
    while not stack.done:
        for name, row in stack.run_epoch().items():
            own = alone[int(name)].run_epoch()
            assert row["train/distortion"] == pytest.approx(own["train/distortion"], rel=1e-3)
            assert row["validation/rate"] == pytest.approx(own["validation/rate"], rel=1e-2, abs=1e-2)

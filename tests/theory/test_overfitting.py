"""Over-fitting in the terms of U and S: how far a law lies from a sample of it, and an objective that goes no closer."""

import math

import numpy as np
import pytest
import torch

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.errors import UserError
from ratelab.core.objective import Setting
from ratelab.data import load, toy
from ratelab.evaluation.toy import overfitting_numbers
from ratelab.exact.sampling import empirical, overfitting_target, sample_divergence
from ratelab.models import MODELS
from ratelab.objectives import OBJECTIVES
from ratelab.runs import from_mapping, single
from ratelab.runs.assemble import build_trainer

LAW = torch.as_tensor(toy.joint().sum(0))
ENTROPY = -float((LAW * LAW.log()).sum())


@pytest.mark.spec("RD17")
@pytest.mark.parametrize(("states", "n"), [(8, 1), (100, 7), (1000, 999)])
def test_distinct_points_of_a_uniform_law_lie_exactly_at_the_target(states: int, n: int) -> None:
    draws = torch.randperm(states, generator=torch.Generator().manual_seed(0))[:n]
    found = float(sample_divergence(draws, torch.full((states,), 1 / states, dtype=torch.float64)))
    assert found == pytest.approx(math.log(states) - math.log(n), abs=1e-12)
    assert found == pytest.approx(overfitting_target(math.log(states), n), abs=1e-12)


@pytest.mark.spec("RD17")
def test_samples_of_a_wide_law_lie_at_the_target_on_average() -> None:
    """30 000 bins, H = 9.6 nats: ten draws are distinct, and KL(p^ || p*) is H - log 10 within 4 standard errors."""
    law = torch.as_tensor(toy.joint(bins=30_000).sum(0))
    entropy = -float((law * law.clamp(min=1e-300).log()).sum())
    draws = torch.as_tensor(np.random.RandomState(0).choice(len(law), (500, 10), p=law.numpy() / law.sum().item()))
    found = torch.stack([sample_divergence(row, law) for row in draws])
    error = float(found.std()) / 500**0.5
    assert abs(float(found.mean()) - overfitting_target(entropy, 10)) < 4 * error
    assert error < 0.02


def test_draws_must_be_states() -> None:
    assert empirical(torch.tensor([0, 2, 2, 1]), 4).tolist() == [0.25, 0.25, 0.5, 0.0]
    for draws in ([], [4], [-1]):
        with pytest.raises(UserError, match="draws: expected at least one, all between 0 and 3"):
            empirical(torch.tensor(draws, dtype=torch.long), 4)
    with pytest.raises(UserError, match="too few"):
        overfitting_target(2.0, 0)


def test_the_loss_turns_around_where_the_sample_is_as_far_as_the_law() -> None:
    torch.manual_seed(0)
    model = MODELS.build(MODELS.resolve({"name": "toy", "init": 0.3}, "model"), load("toy"))
    seen = model(Batch(torch.tensor([9.0, 9.0, 12.0, 20.0])), LiveNoise(0))
    bound = seen.mean(seen.distortion) + seen.mean(seen.closed_rate)
    (downhill,) = torch.autograd.grad(bound, model.decoder_curve, retain_graph=True)
    for entropy, sign in ((bound.item() - 0.5, 1.0), (bound.item() + 0.5, -1.0)):
        chosen = OBJECTIVES.build({"name": "overfitting-target", "entropy": entropy}, Setting((), ((),), 10, 4))
        loss = chosen.loss(seen, {})
        assert float(loss.total.detach()) == pytest.approx(0.5, abs=1e-5)
        (found,) = torch.autograd.grad(loss.total, model.decoder_curve, retain_graph=True)
        assert torch.allclose(found, sign * downhill, atol=1e-7)
        assert float(loss.terms["s"] - loss.terms["s_target"]) == pytest.approx(bound.item() - entropy, abs=1e-5)
        assert float(loss.terms["s_target"]) == pytest.approx(entropy - math.log(4), abs=1e-5)


def trained(objective: object) -> dict[str, float]:
    recipe = single(
        from_mapping(
            {
                "data": {"name": "toy", "sample": 20, "seed": 3},
                "model": {"name": "toy", "init": 0.01},
                "objective": objective,
                "optimiser": {"name": "adam", "lr": 0.05, "constant": 0.5},
                "training": {"epochs": 16, "passes": 50, "batch_size": 20, "validate_every": 16},
            },
            "test",
        ),
        (),
    )
    data = load(recipe.data)
    trainer = build_trainer(recipe, data, torch.device("cpu"))
    while not trainer.done:
        trainer.run_epoch()
    return overfitting_numbers(trainer.model.tables(LAW), data.train.x)


@pytest.mark.spec("RD58")
def test_holding_s_at_its_target_keeps_the_model_nearer_the_law_than_the_elbo_does() -> None:
    free, held = trained("elbo"), trained({"name": "overfitting-target", "entropy": ENTROPY})
    for found in (free, held):
        assert found["target"] == pytest.approx(ENTROPY - math.log(20))
        assert found["u"] - found["s"] <= found["information"] + 1e-9, "U - S = H - D <= I_e"
    assert free["s_sample"] < 0.05 < free["law_from_sample"], "the ELBO learns the sample by heart"
    assert held["neg_elbo"] == pytest.approx(ENTROPY, abs=0.02)
    assert held["s"] < 0.5 * free["s"]


@pytest.mark.parametrize("entropy", [math.inf, "much"])
def test_the_entropy_is_a_finite_number(entropy: object) -> None:
    with pytest.raises(UserError, match=r"objective\.entropy"):
        OBJECTIVES.resolve({"name": "overfitting-target", "entropy": entropy}, "objective")

"""Targets: the formulas of each objective, what is said of one that cannot be met, and the controllers in isolation."""

import re
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "contract"))
from toys import batch_of, build

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.errors import UserError
from ratelab.core.estimate import Estimate
from ratelab.core.model import Model
from ratelab.core.objective import Objective, Setting
from ratelab.core.passes import Pass
from ratelab.core.target import missed, trial
from ratelab.objectives import OBJECTIVES
from ratelab.objectives.controlled import GAIN, LAYER_GAIN, LAYER_REACH, REACH, control, running_mean
from ratelab.runs import execute, from_mapping, single
from ratelab.store import Store


def objective(model: Model, **node: object) -> Objective:
    setting = Setting(model.event_shape, model.latent_shapes, 10, 60)
    return OBJECTIVES.build(OBJECTIVES.resolve(node, "objective"), setting)


@pytest.fixture
def seen() -> Pass:
    model, dataset = build("hierarchy of two")
    return model(batch_of(dataset), LiveNoise(0), 3)


@pytest.fixture
def model() -> Model:
    return build("hierarchy of two")[0]


def test_the_penalty_is_on_the_batch_mean_from_both_sides(model: Model, seen: Pass) -> None:
    distortion, rate = seen.mean(seen.distortion), seen.mean(seen.closed_rate)
    for target in (rate.item() - 1, rate.item() + 1):
        loss = objective(model, name="target-rate", rate=target, weight=3.0).loss(seen, {})
        assert torch.allclose(loss.total, distortion + 3 * (target - rate).abs())
    rates = seen.mean(seen.closed_rates)
    layered = objective(model, name="target-rate", rate=[1.0, 9.0], weight=2.0).loss(seen, {})
    assert torch.allclose(layered.total, distortion + 2 * ((rates[0] - 1).abs() + (rates[1] - 9).abs()))


def test_the_late_weight_takes_over_at_its_time(model: Model) -> None:
    chosen = objective(model, name="target-rate", rate=5.0, late_weight=3.0, late=0.4)
    x = batch_of(build("hierarchy of two")[1]).x
    for epoch, weight in ((3.9, 1.0), (4.0, 3.0)):
        seen = model(Batch(x, epoch=epoch), LiveNoise(0))
        expected = seen.mean(seen.distortion) + weight * (5 - seen.mean(seen.closed_rate)).abs()
        assert torch.allclose(chosen.loss(seen, {}).total, expected)


def test_target_distortion_is_its_mirror_image(model: Model, seen: Pass) -> None:
    loss = objective(model, name="target-distortion", distortion=12.0, weight=7.0).loss(seen, {})
    expected = seen.mean(seen.closed_rate) + 7 * (seen.mean(seen.distortion) - 12).abs()
    assert torch.allclose(loss.total, expected)


def test_the_capacity_opens_linearly(model: Model) -> None:
    chosen = objective(model, name="capacity", rate=8.0, weight=2.0, opening=0.5)
    x = batch_of(build("hierarchy of two")[1]).x
    for epoch, capacity in ((0.0, 0.0), (2.5, 4.0), (5.0, 8.0), (9.0, 8.0)):
        seen = model(Batch(x, epoch=epoch), LiveNoise(0))
        expected = seen.mean(seen.distortion) + 2 * (seen.mean(seen.closed_rate) - capacity).abs()
        assert torch.allclose(chosen.loss(seen, {}).total, expected)


@pytest.mark.spec("N14")
@pytest.mark.parametrize("held", ["rate", "distortion"])
def test_the_multiplier_grows_while_its_constraint_is_violated_and_shrinks_after(model: Model, seen: Pass, held: str) -> None:
    value = seen.mean(seen.closed_rate if held == "rate" else seen.distortion).item()
    for target, grows in ((value / 2, True), (2 * value, False)):
        chosen = objective(model, name="geco", **{held: target})
        state = chosen.initial_state()
        multipliers = []
        for _ in range(5):
            loss = chosen.loss(seen, state)
            state = loss.state
            multipliers.append(loss.terms["multiplier"].item())
        assert multipliers == sorted(multipliers, reverse=not grows)
        assert (multipliers[-1] > 1) is grows
        free = seen.distortion if held == "rate" else seen.closed_rate
        assert torch.allclose(loss.total, seen.mean(free) + multipliers[-1] * (value - target), rtol=1e-4)


def test_a_multiplier_for_every_layer(model: Model, seen: Pass) -> None:
    """One rate too high and one too low: one multiplier grows, the other shrinks; D + sum_l lambda_l (R_l - sigma_l)."""
    rates = seen.mean(seen.closed_rates).detach()
    targets = [float(rates[0]) / 2, float(rates[1]) + 4]
    chosen = objective(model, name="geco", rate=targets)
    state = chosen.initial_state()
    for _ in range(4):
        loss = chosen.loss(seen, state)
        state = loss.state
    multiplier = loss.terms["multiplier"]
    assert multiplier[0] > 1 > multiplier[1]
    expected = seen.mean(seen.distortion) + (multiplier * (rates - torch.tensor(targets))).sum()
    assert torch.allclose(loss.total, expected, rtol=1e-4)
    with pytest.raises(UserError, match="3 targets for a model of 2 layer"):
        objective(model, name="geco", rate=[1.0, 2.0, 3.0])


@pytest.mark.spec("VF16")
def test_free_bits_are_the_elbo_at_zero_and_never_below_it(model: Model, seen: Pass) -> None:
    elbo = seen.mean(seen.distortion) + seen.mean(seen.closed_rate)
    for per in ("dimension", "group", "layer"):
        assert torch.allclose(objective(model, name="free-bits", bits=0.0, per=per).loss(seen, {}).total, elbo)
        losses = [objective(model, name="free-bits", bits=b, per=per).loss(seen, {}).total.item() for b in (0.1, 0.5, 2.0)]
        assert [elbo.item() - 1e-4, *losses] == sorted([elbo.item() - 1e-4, *losses])


@pytest.mark.spec("VF16")
def test_the_maximum_is_taken_of_batch_means_and_stops_the_gradient_below(model: Model, seen: Pass) -> None:
    units = torch.cat([seen.mean(layer.unit_rate.movedim(-1, 0)) for layer in seen.layers])
    bits = units.median().item()
    total = objective(model, name="free-bits", bits=bits).loss(seen, {}).total
    expected = seen.mean(seen.distortion) + units.clamp(min=bits).sum()
    assert torch.allclose(total, expected)
    penalty = total - seen.mean(seen.distortion)
    gradient = torch.autograd.grad(penalty, [layer.encoder.loc for layer in seen.layers], retain_graph=True)
    below = (units < bits).split([2, 3])
    assert any(mask.any() for mask in below)
    for mask, moved in zip(below, gradient, strict=True):
        # The lower layer's encoder sees the upper layer's draw, so only the latents' own means are looked at.
        assert not moved[..., mask].any() or moved is gradient[0]
    top = torch.autograd.grad(seen.mean(seen.layers[0].closed_rate), seen.layers[0].encoder.loc)[0]
    assert top.any()


@pytest.mark.parametrize("per", ["dimension", "group", "layer"])
def test_each_layer_may_have_free_bits_of_its_own(model: Model, seen: Pass, per: str) -> None:
    """The hierarchy has 2 and 3 latents; each layer's threshold lies between its groups' rates, where it has several."""
    units = [seen.mean(layer.unit_rate.movedim(-1, 0)) for layer in seen.layers]
    rates = [unit.sum(0, keepdim=True) for unit in units] if per == "layer" else units
    bits = [rates[0].mean().item(), 2 * rates[1].mean().item()]
    expected = seen.mean(seen.distortion) + sum(
        sum(max(rate.item(), least) for rate in layer) for layer, least in zip(rates, bits, strict=True)
    )
    found = objective(model, name="free-bits", bits=bits, per=per).loss(seen, {})
    assert torch.allclose(found.total, expected)
    below = torch.cat([layer < least for layer, least in zip(rates, bits, strict=True)])
    assert float(found.terms["share_below"]) == pytest.approx(below.float().mean().item())
    swapped = objective(model, name="free-bits", bits=bits[::-1], per=per).loss(seen, {})
    assert not torch.allclose(swapped.total, expected), "top layer first"


def test_groups_of_free_bits_are_neighbouring_dimensions() -> None:
    model, dataset = build("vae")
    seen = model(batch_of(dataset), LiveNoise(0))
    units = seen.mean(seen.layers[0].unit_rate.movedim(-1, 0))
    total = objective(model, name="free-bits", bits=0.5, per="group", size=3).loss(seen, {}).total
    assert torch.allclose(total, seen.mean(seen.distortion) + units.sum().clamp(min=0.5))


def test_the_controller_is_the_stated_rule() -> None:
    log_beta, integral = control(torch.tensor(0.2), torch.tensor(0.5), GAIN, REACH)
    assert float(integral) == pytest.approx(0.5 + 0.03 * 0.2)
    assert float(log_beta) == pytest.approx(float(integral) + 2 * 0.2)
    far, wound = control(torch.tensor([9.0, -9.0]), torch.zeros(2), LAYER_GAIN, LAYER_REACH)
    assert wound.tolist() == pytest.approx([0.015, -0.015]), "errors of the first steps are not remembered"
    assert far.tolist() == pytest.approx([2.015, -2.015])


def test_a_running_mean_does_not_remember_that_it_began_at_zero() -> None:
    steps, average = torch.zeros(()), torch.zeros(())
    for _ in range(3):
        steps, average, mean = running_mean(torch.tensor(7.0), steps, average)
        assert float(mean) == pytest.approx(7.0, rel=1e-5)


@pytest.mark.parametrize("request_", [1.0, 5.0, 50.0])
def test_the_controller_settles_on_a_plant_without_noise(request_: float) -> None:
    """R = 10 beta^-0.7, slowly followed: within 0.5 % of the request after 1000 steps, for requests fifty times apart."""
    steps, average, integral, rate = (torch.zeros(()) for _ in range(4))
    for _ in range(1000):
        steps, average, mean = running_mean(rate, steps, average)
        error = (mean / request_).clamp(min=1e-30).log()
        log_beta, integral = control(error, integral, GAIN, REACH)
        rate = rate + 0.03 * (10 * torch.exp(-0.7 * log_beta) - rate)
    assert float(rate) == pytest.approx(request_, rel=5e-3)


STEERED = {
    "target-rate": {"rate": 5.0},
    "target-distortion": {"distortion": 5.0},
    "controlled-rate": {"rate": 5.0},
    "controlled-distortion": {"distortion": 5.0},
    "geco": {"rate": 5.0},
    "capacity": {"rate": 5.0},
    "overfitting-target": {"entropy": 5.0},
    "free-bits": {},
}


@pytest.mark.parametrize("name", STEERED)
@pytest.mark.parametrize(("case", "says"), [("vae, deterministic", "infinite"), ("vae, implicit", "unknown")])
def test_a_rate_that_cannot_be_steered_is_said_before_training(name: str, case: str, says: str) -> None:
    model, _ = build(case)
    with pytest.raises(UserError, match=f"'{name}' steers the rate, but this model's is {says}") as caught:
        objective(model, name=name, **STEERED[name]).players(model)
    assert "\n" not in str(caught.value)


def test_free_bits_per_dimension_need_a_rate_that_is_a_sum_over_dimensions() -> None:
    model, _ = build("vae, vamp marginal")
    with pytest.raises(UserError, match="set per: layer"):
        objective(model, name="free-bits").players(model)
    objective(model, name="free-bits", per="layer").players(model)


def test_a_trial_leaves_the_model_as_it_was(model: Model) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trial(model)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_missed_target_is_one_line_with_the_measurement() -> None:
    rates = [Estimate(5.05, 0.05, 9, of="rate"), Estimate(12.0, 0.3, 9, of="rate")]
    assert missed("rates", [5.0, 20.0], {"rates": rates}) == "targets 5, 20 nats not reached: 5.0 +- 0.1, 12.0 +- 0.3"
    assert missed("rates", [5.0, 12.2], {"rates": rates}) == ""


def test_a_run_that_missed_its_target_says_so_in_its_results(tmp_path: Path) -> None:
    recipe = single(
        from_mapping(
            {
                "data": {"name": "digits", "limit": 100},
                "model": {
                    "name": "vae",
                    "latent_dim": 2,
                    "decoder": {"name": "bernoulli", "network": {"name": "mlp", "hidden": [4]}},
                },
                "objective": {"name": "controlled-rate", "rate": 40.0},
                "training": {"epochs": 1, "batch_size": 50},
            },
            "missed",
        ),
        (),
    )
    results = execute(recipe, Store.create(tmp_path))
    assert results["status"] == "done"
    assert re.fullmatch(r"target 40 nats not reached: \d+\.\d \+- \d+\.\d", results["why"])

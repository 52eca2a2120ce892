"""Laws of objectives: they add up named numbers from the pass and never redefine what is measured."""

import pytest
import torch
from toys import batch_of, build, critic

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.dataset import Dataset
from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.core.objective import Objective, Setting
from ratelab.core.schedule import ConstantThenLinear
from ratelab.objectives import OBJECTIVES

SETTING = Setting((1, 8, 8), ((2,), (3,)), 200, 60)


GIVEN: dict[str, dict[str, object]] = {
    "target-rate": {"rate": 5.0},
    "target-distortion": {"distortion": 30.0},
    "controlled-rate": {"rate": 5.0},
    "controlled-distortion": {"distortion": 30.0},
    "geco": {"rate": 5.0},
    "capacity": {"rate": 5.0},
    "overfitting-target": {"entropy": 30.0},
    "denoising": {"level": 0.0},
}


def objective(setting: Setting = SETTING, **node: object) -> Objective:
    return OBJECTIVES.build(OBJECTIVES.resolve(node, "objective"), setting)


def served(name: str) -> tuple[Objective, Model, Dataset]:
    """The objective on a hierarchy of two, or on the plain VAE where it refuses a hierarchy, or on a critic."""
    for model, dataset in (build("hierarchy of two"), build("vae"), critic()):
        chosen = objective(Setting(model.event_shape, model.latent_shapes, 200, 60), name=name, **GIVEN.get(name, {}))
        try:
            chosen.players(model)
        except UserError:
            continue
        return chosen, model, dataset
    raise AssertionError(f"'{name}' serves none")


@pytest.mark.parametrize("name", OBJECTIVES)
def test_measured_numbers_do_not_depend_on_the_objective(name: str) -> None:
    """The same model, batch and noise give the same rates and distortion whatever is minimised."""
    chosen, model, dataset = served(name)
    batch = batch_of(dataset)
    noise = LiveNoise(1)
    if name == "denoising":
        noise.normal(batch.x.shape)  # what corrupts the data is drawn first
    reference = model(batch, noise, chosen.samples)
    loss, seen = chosen.turn(model, batch, LiveNoise(1), chosen.initial_state())
    assert seen is not None
    assert torch.equal(seen.rates, reference.rates)
    assert torch.equal(seen.distortion, reference.distortion)
    assert loss.total.ndim == 0
    assert loss.total.requires_grad
    assert not {"rate", "rates", "distortion", "loss", "neg_elbo"} & set(loss.terms)
    assert not any(term.requires_grad for term in loss.terms.values())


@pytest.mark.parametrize("name", OBJECTIVES)
def test_state_keeps_its_names_and_shapes_and_carries_no_gradient(name: str) -> None:
    """What learns by no gradient is saved in checkpoints under the names it began with."""
    chosen, model, dataset = served(name)
    before = chosen.initial_state()
    after = chosen.turn(model, batch_of(dataset), LiveNoise(1), before).loss.state
    assert {n: v.shape for n, v in after.items()} == {n: v.shape for n, v in before.items()}
    assert not any(v.requires_grad for v in after.values())


@pytest.mark.spec("RD19", "HV16")
def test_beta_weighs_each_layer_and_its_gradient_is_the_layer_rate() -> None:
    model, dataset = build("hierarchy of two")
    seen = model(batch_of(dataset), LiveNoise(0))
    chosen = objective(name="beta", beta=[0.5, 3.0])
    chosen.beta.requires_grad_()
    total = chosen.loss(seen, {}).total
    rates = seen.mean(seen.closed_rates)
    assert torch.allclose(total, seen.mean(seen.distortion) + 0.5 * rates[0] + 3.0 * rates[1])
    (gradient,) = torch.autograd.grad(total, chosen.beta)
    assert torch.allclose(gradient, rates)


@pytest.mark.spec("RD22")
def test_annealing_rises_linearly_from_zero_to_beta() -> None:
    model, dataset = build("hierarchy of two")
    chosen = objective(name="beta", beta=2.0, annealing=100.0)
    batch = batch_of(dataset)
    for epoch, weight in ((0.0, 0.0), (25.0, 0.5), (50.0, 1.0), (100.0, 2.0), (180.0, 2.0)):
        seen = model(Batch(batch.x, epoch=epoch), LiveNoise(0))
        expected = seen.mean(seen.distortion) + weight * seen.mean(seen.closed_rate)
        assert torch.allclose(chosen.loss(seen, {}).total, expected), epoch


@pytest.mark.spec("HV17")
def test_layers_of_a_bin_share_a_price() -> None:
    deep = Setting((1, 8, 8), ((1,),) * 5, 200, 60)
    chosen = OBJECTIVES.build({"name": "beta", "beta": (0.5, 2.0), "bins": (2, 3)}, deep)
    assert chosen.beta.tolist() == [0.5, 0.5, 2.0, 2.0, 2.0]
    for bins, beta, says in (((2, 2), (0.5, 2.0), "make them add up"), ((5,), (0.5, 2.0), "2 weights for 1 bins")):
        with pytest.raises(UserError, match=says):
            OBJECTIVES.build({"name": "beta", "beta": beta, "bins": bins}, deep)


@pytest.mark.spec("HV18")
def test_the_warm_up_of_a_ladder_multiplies_every_price() -> None:
    """0 -> 1 over the first fifth of the epochs, on both layers' rates."""
    model, dataset = build("hierarchy of two")
    chosen, batch = objective(name="beta", beta=[0.5, 3.0], annealing=40.0), batch_of(dataset)
    prices = torch.tensor([0.5, 3.0])
    for epoch, share in ((0.0, 0.0), (10.0, 0.25), (40.0, 1.0), (199.0, 1.0)):
        seen = model(Batch(batch.x, epoch=epoch), LiveNoise(0))
        expected = seen.mean(seen.distortion) + share * (prices * seen.mean(seen.closed_rates)).sum()
        assert torch.allclose(chosen.loss(seen, {}).total, expected), epoch


@pytest.mark.parametrize("name", ["beta", "free-bits"])
def test_each_layer_may_warm_up_at_its_own_pace(name: str) -> None:
    """Ten epochs for the top layer and fifty for the other, beside one that pays in full from the start."""
    model, dataset = build("hierarchy of two")
    batch = batch_of(dataset)
    full = {"beta": {"beta": [0.5, 3.0]}, "free-bits": {"bits": 0.0}}[name]
    prices = torch.tensor([0.5, 3.0] if name == "beta" else [1.0, 1.0])
    for annealing, epoch, shares in (
        ([10.0, 50.0], 0.0, [0.0, 0.0]),
        ([10.0, 50.0], 5.0, [0.5, 0.1]),
        ([10.0, 50.0], 25.0, [1.0, 0.5]),
        ([10.0, 50.0], 50.0, [1.0, 1.0]),
        ([0.0, 50.0], 0.0, [1.0, 0.0]),
        ([40.0, 0.0], 30.0, [0.75, 1.0]),
    ):
        seen = model(Batch(batch.x, epoch=epoch), LiveNoise(0))
        expected = seen.mean(seen.distortion) + (torch.tensor(shares) * prices * seen.mean(seen.closed_rates)).sum()
        total = objective(name=name, **full, annealing=annealing).loss(seen, {}).total
        assert torch.allclose(total, expected), (annealing, epoch)


def test_bins_of_layers_share_their_warm_up() -> None:
    deep = Setting((1, 8, 8), ((1,),) * 3, 200, 60)
    chosen = OBJECTIVES.build({"name": "beta", "beta": 1.0, "bins": (1, 2), "annealing": (10.0, 50.0)}, deep)
    assert chosen.annealing.tolist() == [10.0, 50.0, 50.0]


def test_cyclical_annealing_starts_anew_in_every_cycle() -> None:
    model, dataset = build("hierarchy of two")
    chosen, batch = objective(name="beta", annealing=25.0, cycles=4), batch_of(dataset)
    layered = objective(name="beta", annealing=[25.0, 0.0], cycles=4)
    for epoch, weight in ((0.0, 0.0), (12.5, 0.5), (30.0, 1.0), (50.0, 0.0), (62.5, 0.5), (199.0, 1.0)):
        seen = model(Batch(batch.x, epoch=epoch), LiveNoise(0))
        expected = seen.mean(seen.distortion) + weight * seen.mean(seen.closed_rate)
        assert torch.allclose(chosen.loss(seen, {}).total, expected), epoch
        top, lower = seen.mean(seen.closed_rates)
        assert torch.allclose(layered.loss(seen, {}).total, seen.mean(seen.distortion) + weight * top + lower), epoch


def test_one_importance_sample_is_the_elbo_and_more_are_tighter() -> None:
    model, dataset = build("vae")
    batch = batch_of(dataset)
    one = objective(name="iwae", samples=1)
    elbo = objective(name="elbo", form="sampled")
    seen = model(batch, LiveNoise(0), 1)
    assert torch.allclose(one.loss(seen, {}).total, elbo.loss(seen, {}).total)
    losses = {
        k: [objective(name="iwae", samples=k).loss(model(batch, LiveNoise(s), k), {}).total for s in range(200)]
        for k in (1, 5, 20)
    }
    means = {k: torch.stack(v).mean() for k, v in losses.items()}
    error = torch.stack(losses[1]).std() / 200**0.5
    assert means[1] > means[5] > means[20] - 4 * error


@pytest.mark.parametrize(
    ("node", "says"),
    [
        ({"name": "beta", "beta": -1.0}, "objective.beta"),
        ({"name": "beta", "betta": 1.0}, "did you mean 'beta'"),
        ({"name": "beta", "beta": "one"}, "objective.beta"),
        ({"name": "betas"}, "did you mean 'beta'"),
        ({"name": "iwae", "samples": 0}, "objective.samples"),
        ({"name": "target-rate"}, "objective.rate: this key is required"),
        ({"name": "target-rate", "rate": -2.0}, "objective.rate"),
        ({"name": "target-rate", "rate": 5.0, "weight": -1.0}, "objective.weight"),
        ({"name": "controlled-rate", "rate": [5.0, 0.0]}, "objective.rate"),
        ({"name": "free-bits", "bits": -0.1}, "objective.bits"),
        ({"name": "free-bits", "bits": [0.5, -0.1]}, r"objective.bits.1: .*greater than or equal to 0; got -0.1"),
        ({"name": "free-bits", "annealing": [float("inf"), 1.0]}, r"objective.annealing.0: .*finite"),
        ({"name": "beta", "annealing": [1.0, -2.0]}, r"objective.annealing.1: .*greater than or equal to 0; got -2.0"),
        ({"name": "beta", "annealing": float("inf")}, "objective.annealing: .*finite"),
        ({"name": "beta", "annealing": [float("nan"), 1.0]}, r"objective.annealing.0: "),
        ({"name": "beta", "beta": [float("inf"), 1.0]}, r"objective.beta.0: .*finite"),
    ],
)
def test_a_mistake_is_one_line_that_says_where(node: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        OBJECTIVES.resolve(node, "objective")
    assert "\n" not in str(caught.value)


def test_a_vector_of_betas_must_have_one_per_layer() -> None:
    with pytest.raises(UserError, match="3 weights for a model of 2 layer"):
        OBJECTIVES.build({"name": "beta", "beta": (1.0, 1.0, 1.0)}, SETTING)


@pytest.mark.parametrize(
    ("node", "says"),
    [
        ({"name": "target-rate", "rate": (1.0, 2.0, 3.0)}, "3 targets for a model of 2 layer"),
        ({"name": "controlled-rate", "rate": (1.0,)}, "1 targets for a model of 2 layer"),
        ({"name": "geco", "rate": 2.0, "distortion": 3.0}, "either rate or distortion"),
        ({"name": "geco"}, "either rate or distortion"),
        ({"name": "free-bits", "per": "group", "size": 2}, "groups of 2 do not fill a layer of 3"),
        ({"name": "free-bits", "bits": (1.0, 2.0, 3.0)}, "objective.bits: 3 numbers for a model of 2 layer"),
        ({"name": "free-bits", "annealing": (1.0,)}, "objective.annealing: 1 warm-ups for a model of 2 layer"),
        ({"name": "beta", "annealing": (1.0, 2.0, 3.0)}, r"objective.annealing: 3 warm-ups .*; give one number or 2"),
        ({"name": "beta", "bins": (2,), "annealing": (1.0, 2.0)}, "objective.annealing: 2 warm-ups for 1 bins"),
        ({"name": "beta", "cycles": 4, "annealing": 60.0}, "4 cycles in 200 epochs"),
        ({"name": "beta", "cycles": 4, "annealing": (0.0, 60.0)}, "4 cycles in 200 epochs"),
        ({"name": "beta", "cycles": 4, "annealing": (0.0, 0.0)}, "4 cycles in 200 epochs"),
    ],
)
def test_what_does_not_fit_the_model_is_said_when_it_is_built(node: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        OBJECTIVES.build(node, SETTING)
    assert "\n" not in str(caught.value)


@pytest.mark.spec("RD42")
def test_constant_then_linear_is_full_at_the_middle_and_zero_at_the_end() -> None:
    schedule = ConstantThenLinear(0.5)
    assert [3e-4 * schedule(e, 200) for e in (0, 50, 100, 150, 200)] == pytest.approx([3e-4, 3e-4, 3e-4, 1.5e-4, 0])

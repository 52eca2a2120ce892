"""An objective that a model cannot serve is one clear line before training: every objective against models of every kind."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "contract"))
from toys import CASES, batch_of, build

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.core.objective import Objective, Setting
from ratelab.objectives import OBJECTIVES
from ratelab.training import OPTIMISERS, Plan, Trainer

GIVEN = {
    "target-rate": {"rate": 1.0},
    "target-distortion": {"distortion": 30.0},
    "controlled-rate": {"rate": 1.0},
    "controlled-distortion": {"distortion": 30.0},
    "geco": {"rate": 1.0},
    "capacity": {"rate": 1.0},
    "overfitting-target": {"entropy": 1.0},
}


def objective(model: Model, name: str, **options: object) -> Objective:
    setting = Setting(model.event_shape, model.latent_shapes, 10, 60)
    return OBJECTIVES.build(OBJECTIVES.resolve({"name": name, **GIVEN.get(name, {}), **options}, "objective"), setting)


def refusal(case: str, name: str, **options: object) -> str:
    model, _ = build(case)
    with pytest.raises(UserError) as caught:
        objective(model, name, **options).players(model)
    assert "\n" not in str(caught.value)
    return str(caught.value)


FREE_OF_RATE = {"vim", "adversarial-autoencoder", "denoising"}  # serve a deterministic encoder; 'denoising' where its beta is 0
OF_CRITICS = {"discrimination", "wasserstein"}


@pytest.mark.parametrize("case", ["vae, deterministic", "vae, implicit"])
@pytest.mark.parametrize("name", sorted(set(OBJECTIVES) - FREE_OF_RATE - OF_CRITICS))
def test_a_rate_that_is_missing_is_said_before_training(name: str, case: str) -> None:
    size = "infinite" if case == "vae, deterministic" else "unknown"
    assert f"objective '{name}'" in (message := refusal(case, name))
    assert f"this model's is {size}: its encoder has no density" in message


@pytest.mark.parametrize("name", sorted(OF_CRITICS))
def test_an_objective_of_critics_trains_nothing_else(name: str) -> None:
    assert f"objective '{name}' trains critics" in refusal("vae", name)


def test_a_price_of_nought_leaves_out_a_rate_that_is_missing() -> None:
    for name in ("beta", "denoising"):
        model, _ = build("vae, deterministic")
        assert "infinite" in refusal("vae, deterministic", name)
        assert objective(model, name, beta=0.0).players(model)


ENUMERATED = (
    "sticking-the-landing", "doubly-reparameterised", "score-function", "nvil", "vimco", "muprop", "infovae", "vim",
    "adversarial-autoencoder",
)  # fmt: skip


@pytest.mark.parametrize("case", ["tables", "toy"])
@pytest.mark.parametrize("name", ENUMERATED)
def test_an_exact_sum_has_no_draws_to_work_with(name: str, case: str) -> None:
    assert "sums over all of them exactly" in refusal(case, name)


def test_a_divergence_in_nats_needs_a_density_and_a_discrepancy_does_not() -> None:
    assert "infinite" in refusal("vae, deterministic", "vim", divergence="kl")
    assert "needs the law" in refusal("hamiltonian", "vim", divergence="kl")
    for case, divergence in (
        ("vae, deterministic", "mmd"),
        ("hamiltonian", "mmd"),
        ("tables", "kl"),
        ("vae, categorical", "kl"),
    ):
        model, _ = build(case)
        assert objective(model, "vim", divergence=divergence).players(model)


@pytest.mark.parametrize("name", ["sticking-the-landing", "score-function", "nvil", "vimco", "muprop"])
def test_a_draw_that_was_moved_has_no_law_of_its_own(name: str) -> None:
    assert "needs the law that each layer was drawn from" in refusal("hamiltonian", name)


@pytest.mark.parametrize(
    ("case", "name", "options", "says"),
    [
        ("hierarchy of two", "muprop", {}, "one layer of latents only; for more of them use 'nvil'"),
        ("hierarchy of two", "doubly-reparameterised", {}, "one layer of latents only; for more of them use 'iwae'"),
        ("vae, categorical", "score-function", {}, "set gradient: straight-through"),
        ("auxiliary", "beta-tc", {}, "an integral in this model"),
        ("auxiliary", "free-bits", {}, "set per: layer"),
        ("hamiltonian", "free-bits", {}, "set per: layer"),
        ("tables", "denoising", {}, "a state's index"),
        ("bottleneck", "mcmc-em", {}, "scores labels alone"),
        ("vae, categorical", "adversarial-autoencoder", {}, "matches real-valued codes"),
        ("invertible", "adversarial-autoencoder", {}, "has no latents"),
        ("vae", "denoising", {"corruption": "mask", "level": 1.5}, "a mask takes is at most 1; got 1.5"),
    ],
)
def test_what_a_model_lacks_is_named(case: str, name: str, options: dict, says: str) -> None:
    assert says in refusal(case, name, **options)


@pytest.mark.parametrize("name", ["target-rate", "controlled-rate", "geco", "capacity"])
def test_a_rate_above_what_discrete_latents_can_carry_is_refused(name: str) -> None:
    """Two groups of three states: 2 log 3 = 2.197 nats; six codes of a table: log 4."""
    assert "a rate of 2.2 nats is more than these discrete latents can carry, 2.197" in refusal(
        "vae, categorical", name, rate=2.2
    )
    assert "carry, 1.386" in refusal("tables", name, rate=1.4)
    model, _ = build("vae, categorical")
    assert objective(model, name, rate=2.19).players(model)


@pytest.mark.parametrize(("name", "option"), [("beta", "beta"), ("target-rate", "rate"), ("controlled-rate", "rate")])
def test_a_vector_needs_a_rate_that_splits(name: str, option: str) -> None:
    """Bottom-up inference: two layers, one rate."""
    model, _ = build("hierarchy of two")
    chosen = objective(model, name, **{option: [1.0, 2.0]})
    assert chosen.players(model)
    whole, forward = model.forward, model.forward

    def unsplit(*arguments: object) -> object:
        from dataclasses import replace

        return replace(forward(*arguments), splits=False)

    model.forward = unsplit
    with pytest.raises(UserError, match=r"2 \w+, but this model's rate does not split over layers; give one \w+, the total"):
        chosen.players(model)
    model.forward = whole


NEGATIVE = [
    ("beta", "beta"), ("beta", "annealing"), ("target-rate", "weight"), ("target-rate", "late_weight"), ("target-rate", "rate"),
    ("target-distortion", "weight"), ("controlled-rate", "rate"), ("geco", "rate"), ("geco", "speed"), ("capacity", "rate"),
    ("capacity", "weight"), ("free-bits", "bits"), ("infovae", "scale"), ("vim", "scale"), ("beta-tc", "beta"), ("map", "spread"),
    ("denoising", "beta"), ("denoising", "level"), ("iwae", "samples"), ("renyi", "samples"), ("nvil", "hidden"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "option"), NEGATIVE)
def test_a_negative_weight_is_refused(name: str, option: str) -> None:
    with pytest.raises(UserError, match=rf"^objective.{option}: must be greater than .*; got -1"):
        OBJECTIVES.resolve({"name": name, **GIVEN.get(name, {}), option: -1}, "objective")


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
@pytest.mark.parametrize(
    "case", ["vae", "vae, categorical straight through", "vae, iaf flow that sees x", "auxiliary", "tables", "bottleneck"]
)
def test_what_is_not_refused_takes_a_finite_step(name: str, case: str) -> None:
    """No objective accepts a model in silence and then fails, or divides by nothing, in the first step."""
    assert case in CASES
    model, dataset = build(case)
    chosen = objective(model, name)
    try:
        players = chosen.players(model)
    except UserError:
        return
    trainer = Trainer(
        model, chosen, dataset, OPTIMISERS.resolve("adam", "optimiser"), Plan(epochs=1, batch_size=30, validate_every=1), 0
    )
    row = trainer.run_epoch()
    assert trainer.status == "done", row
    assert players


def test_infomax_matches_the_representation_not_its_auxiliary() -> None:
    """The discrepancy is that of z (3 numbers), not of the auxiliary u (2 numbers) drawn before it."""
    model, dataset = build("auxiliary")
    batch = batch_of(dataset)
    widths = []
    chosen = objective(model, "vim", kernel="rbf")
    kernel = chosen._kernel

    def watched(codes: torch.Tensor, drawn: torch.Tensor) -> object:
        widths.extend([codes.shape[-1], drawn.shape[-1]])
        return kernel(codes, drawn)

    chosen._kernel = watched
    chosen.turn(model, batch, LiveNoise(0), {})
    assert widths == [3, 3]


@pytest.mark.parametrize("alpha", [-0.5, 0.0, 0.5, 0.9995, 2.0])
def test_renyi_of_an_exact_sum_weighs_its_terms(alpha: float) -> None:
    """1/(1-a) log sum_z e(z|x) w(z)^(1-a): at a = 0 the evidence itself."""
    model, _ = build("tables")
    model.double()
    seen = model(Batch(torch.arange(6, dtype=torch.float64)), LiveNoise(0, dtype=torch.float64))
    found = -objective(model, "renyi", alpha=alpha).loss(seen, {}).total.detach()
    encoder, log_weight = seen.layers[0].log_encoder.exp(), -(seen.distortion + seen.rate)
    if abs(1 - alpha) < 1e-3:
        wanted = (encoder * log_weight).sum(0).mean()
    else:
        wanted = ((encoder * log_weight.mul(1 - alpha).exp()).sum(0).log() / (1 - alpha)).mean()
    assert float(found) == pytest.approx(float(wanted.detach()), abs=1e-6)
    if alpha == 0:
        joint = model.log_joint(seen.target, (seen.layers[0].z,))
        assert float(found) == pytest.approx(float(joint.logsumexp(0).mean().detach()), abs=1e-6)

"""Laws that every model of the table obeys: shapes, sums over layers, equal bookkeeping in both directions, saving."""

import pytest
import torch
from toys import CASES, ENUMERATED, NO_EXAMPLES, NO_RATE, REMEMBERS, batch_of, build

from ratelab.core.batch import LiveNoise, ModeNoise
from ratelab.models import MODELS
from ratelab.training import checkpoint
from ratelab.training.loop import load_weights

ALL = pytest.mark.parametrize("case", CASES)


def test_every_model_of_the_table_has_a_case() -> None:
    """All but those that have no latents and are no models of examples: the classifier, and those that learn about another run."""
    others = {"classifier", "code-density", "code-critic", "sample-critic", "gaussian-critic"}
    assert {node["name"] for node, _ in CASES.values()} == set(MODELS) - others


@ALL
@pytest.mark.parametrize("samples", [1, 5])
def test_shapes(case: str, samples: int) -> None:
    model, dataset = build(case)
    batch = batch_of(dataset)
    seen = model(batch, LiveNoise(0), samples)
    k = seen.samples
    assert k == (4 if case in ENUMERATED else samples)
    representation = [layer for layer in seen.layers if not layer.auxiliary]
    for layer, shape in zip(representation, model.latent_shapes, strict=True):
        assert tuple(layer.z.shape) == (k, 7, *shape)
    for layer in seen.layers:
        assert tuple(layer.log_encoder.shape) == tuple(layer.log_marginal.shape) == (k, 7)
    rows = len(seen.layers) if seen.splits else 1
    assert tuple(seen.rates.shape) == tuple(seen.closed_rates.shape) == (rows, k, 7)
    assert tuple(seen.distortion.shape) == (k, 7)
    assert torch.allclose(seen.weight.sum(0), torch.ones(7))


@ALL
@pytest.mark.spec("HV01", "VF01")
def test_log_joint_factorises_over_the_layers(case: str) -> None:
    model, dataset = build(case)
    seen = model(batch_of(dataset), LiveNoise(0), 3)
    representation = [layer for layer in seen.layers if not layer.auxiliary]
    joint = model.log_joint(seen.target, tuple(layer.z for layer in representation))
    parts = -seen.distortion + sum(layer.log_marginal for layer in representation)
    assert torch.allclose(joint, parts, atol=1e-4)


@ALL
def test_latents_drawn_elsewhere_are_scored_as_if_drawn_here(case: str) -> None:
    model, dataset = build(case)
    model.eval()
    batch = batch_of(dataset)
    seen = model(batch, LiveNoise(0), 3)
    scores = model.log_encoders(batch.x, tuple(layer.z for layer in seen.layers if not layer.auxiliary))
    if scores is None:
        return
    assert tuple(scores.shape) == (len(seen.layers), 3, 7)
    own = torch.stack([layer.log_encoder for layer in seen.layers])
    assert torch.allclose(scores, own, atol=1e-3, equal_nan=True)


@pytest.mark.spec("HV01")
def test_a_hierarchy_of_one_layer_is_the_plain_vae_number_for_number() -> None:
    (plain, dataset), (tower, _) = build("vae"), build("hierarchy of one")
    batch = batch_of(dataset)
    a, b = (model(batch, LiveNoise(3), 2) for model in (plain, tower))
    assert torch.equal(a.rates, b.rates)
    assert torch.equal(a.distortion, b.distortion)


@ALL
@pytest.mark.spec("HV15")
def test_closed_and_sampled_rates_agree_and_layers_add_up(case: str) -> None:
    model, dataset = build(case)
    model.eval()  # discrete latents are drawn hard, not relaxed, where a rate is measured
    seen = model(batch_of(dataset), LiveNoise(0), 4000)
    if case in NO_RATE:
        missing = torch.full_like(seen.rates, NO_RATE[case])
        assert torch.equal(seen.rates.nan_to_num(nan=-1.0), missing.nan_to_num(nan=-1.0))
        return
    if not seen.layers:  # a density without latents
        assert seen.rates.shape[0] == 0
        return
    difference = seen.rates - seen.closed_rates  # (L, K, B): zero on average for every layer and example
    mean = seen.per_example(difference)
    error = difference.std(-2) / difference.shape[-2] ** 0.5
    if case not in ENUMERATED:
        assert (mean.abs() <= 4.5 * error + 1e-5).all()
    assert torch.allclose(seen.rate, seen.rates.sum(0))
    assert (seen.per_example(seen.closed_rates) >= -1e-5).all()


@ALL
def test_a_pass_from_the_model_scores_itself_like_a_pass_from_data(case: str) -> None:
    model, _ = build(case)
    drawn = model.generate(9, LiveNoise(5))
    assert drawn.origin == "model"
    assert drawn.target.shape[0] == 9
    representation = [layer for layer in drawn.layers if not layer.auxiliary]
    joint = model.log_joint(drawn.target, tuple(layer.z for layer in representation))
    assert torch.allclose(joint, -drawn.distortion + sum(layer.log_marginal for layer in representation), atol=1e-4)
    assert drawn.rates.isfinite().all() or case in (*NO_RATE, *NO_EXAMPLES)


@ALL
def test_decoding_a_pass_gives_its_own_mean(case: str) -> None:
    model, dataset = build(case)
    seen = model(batch_of(dataset), ModeNoise())
    assert seen.decoder is not None
    assert torch.allclose(model.decode(tuple(layer.z for layer in seen.layers if not layer.auxiliary)), seen.decoder.mean)


@ALL
def test_gradients_are_finite_at_the_start_and_stop_at_z_when_told_to(case: str) -> None:
    model, dataset = build(case)
    batch = batch_of(dataset)
    seen = model(batch, LiveNoise(0), 2)
    (seen.mean(seen.distortion) + seen.mean(seen.closed_rate)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    model.zero_grad()
    cut = model(batch, LiveNoise(0), 2, path=False)
    if case not in ENUMERATED:
        cut.mean(cut.distortion).backward()
        assert all(p.grad is None or not p.grad.any() for p in model.group("inference"))


@ALL
def test_parameter_groups_are_a_partition(case: str) -> None:
    model, _ = build(case)
    groups = [{id(p) for p in model.group(which)} for which in ("inference", "generative")]
    assert not groups[0] & groups[1]
    assert groups[0] | groups[1] == {id(p) for p in model.parameters()}


@ALL
def test_examples_do_not_see_each_other(case: str) -> None:
    model, dataset = build(case)
    model.double().eval()
    whole = model(batch_of(dataset, dtype=torch.float64), ModeNoise(dtype=torch.float64))
    first = model(batch_of(dataset, 3, torch.float64), ModeNoise(dtype=torch.float64))
    assert torch.allclose(whole.rates[..., :3], first.rates, atol=1e-10, equal_nan=True)
    assert torch.allclose(whole.distortion[..., :3], first.distortion, atol=1e-10)


@ALL
def test_float32_stays_near_float64(case: str) -> None:
    model, dataset = build(case)
    model.train(case not in REMEMBERS)
    seen = model(batch_of(dataset), ModeNoise())
    distortion, rates = seen.distortion.double(), seen.rates.double()  # taken before the weights change their type
    double = model.double()(batch_of(dataset, dtype=torch.float64), ModeNoise(dtype=torch.float64))
    assert torch.allclose(distortion, double.distortion, rtol=1e-4, atol=1e-3)
    assert torch.allclose(rates, double.rates, rtol=1e-4, atol=1e-3, equal_nan=True)


@ALL
@pytest.mark.spec("GE02")
def test_weights_survive_saving(case: str) -> None:
    model, dataset = build(case, seed=0)
    twin, _ = build(case, seed=1)
    saved = checkpoint.to_bytes(model.state_dict(), {})
    for loaded in (twin, model):  # both, because loading may change the order of weights in memory and with it the last digit
        load_weights(loaded, saved, "a file")
    batch = batch_of(dataset)
    a, b = (m(batch, LiveNoise(0), 2) for m in (model, twin))
    assert torch.equal(a.distortion, b.distortion)
    assert torch.allclose(a.rates, b.rates, rtol=0, atol=0, equal_nan=True)

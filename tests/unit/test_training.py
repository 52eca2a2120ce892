"""The loop: nothing dropped, exact resume, a guard against NaN, early stopping, normalised gradients."""

import numpy as np
import pytest
import torch
from torch import nn

from ratelab.core.batch import LiveNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.core.objective import Setting
from ratelab.models import MODELS
from ratelab.objectives import OBJECTIVES
from ratelab.training import OPTIMISERS, Loader, Plan, Trainer, checkpoint, load_weights
from ratelab.training.optimisers import Adam, normalise_

MLP = {"name": "mlp", "hidden": [16]}


def data(n: int = 57, resampled: bool = False, density: float = 0.3) -> Dataset:
    rng = np.random.default_rng(0)
    binary = (rng.random((n, 1, 4, 4)) < density).astype(np.uint8)
    train = (255 * rng.random((n, 1, 4, 4))).astype(np.uint8) if resampled else binary
    return Dataset("bits", Support.BINARY, Split(train), Split(binary[:20]), Split(binary[:20]), resampled)


def trainer(dataset: Dataset | None = None, beta: float = 1.0, optimiser: dict | None = None, **plan: object) -> Trainer:
    dataset = dataset or data()
    settings = Plan.model_validate({"epochs": 4, "batch_size": 25, **plan})
    node = {
        "name": "vae",
        "latent_dim": 2,
        "encoder": {"name": "gaussian", "network": MLP},
        "decoder": {"name": "bernoulli", "network": MLP},
    }
    torch.manual_seed(0)
    model = MODELS.build(MODELS.resolve(node, "model"), dataset)
    setting = Setting(model.event_shape, model.latent_shapes, settings.epochs, len(dataset.train))
    objective = OBJECTIVES.build({"name": "beta", "beta": beta}, setting)
    return Trainer(model, objective, dataset, OPTIMISERS.resolve(optimiser or "adam", "optimiser"), settings, seed=1)


def without_clock(row: dict) -> dict:
    return {k: v for k, v in row.items() if k != "seconds"}


def finish(run: Trainer) -> list[dict]:
    rows = []
    while not run.done:
        rows.append(without_clock(run.run_epoch()))
    return rows


def test_every_example_is_seen_once_an_epoch_and_the_last_batch_is_kept() -> None:
    dataset = data(57)
    loader = Loader(dataset, dataset.train, 25)
    batches = list(loader.shuffled(LiveNoise(0), 3))
    assert [b.size for b in batches] == [25, 25, 7]
    assert sorted(torch.cat([b.index for b in batches]).tolist()) == list(range(57))
    assert [float(b.epoch) for b in batches] == pytest.approx([3, 3 + 1 / 3, 3 + 2 / 3])
    assert all(torch.equal(b.x, torch.as_tensor(dataset.train.x)[b.index].float()) for b in batches)
    assert torch.equal(torch.cat([b.x for b in loader.ordered()]), torch.as_tensor(dataset.train.x).float())


def test_dynamic_binarisation_draws_anew_with_the_grey_value_as_probability() -> None:
    dataset = data(57, resampled=True)
    loader = Loader(dataset, dataset.train, 57, resample=LiveNoise(0))
    draws = torch.stack([torch.cat([b.x for b in loader.ordered()]) for _ in range(400)])
    assert set(draws.unique().tolist()) == {0.0, 1.0}
    p = torch.as_tensor(dataset.train.x).double() / 255
    z = (draws.double().mean(0) - p) / ((p * (1 - p)).clamp_min(1e-3) / 400).sqrt()
    assert z.abs().max() < 5
    held_out = next(Loader(dataset, dataset.test, 20).ordered())
    assert set(held_out.x.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("cut", [1, 2, 3])
@pytest.mark.spec("GE01", "GE02")
def test_a_training_cut_and_continued_is_bit_identical(cut: int) -> None:
    dataset = data(resampled=True)
    early = {"early_stopping": {"patience": 10}, "epochs": 5}
    whole = trainer(dataset, **early)
    rows = finish(whole)
    first = trainer(dataset, **early)
    head = [without_clock(first.run_epoch()) for _ in range(cut)]
    second = trainer(dataset, **early)
    second.restore(first.save())
    assert head + finish(second) == rows
    assert whole.weights() == second.weights()
    assert whole.save() == second.save()


def test_logged_numbers_are_the_mean_over_all_examples() -> None:
    run = trainer(optimiser={"name": "adam", "lr": 1e-30})
    row = run.run_epoch()
    x = torch.as_tensor(run.train_loader.x).float()
    from ratelab.core.batch import Batch

    with torch.no_grad():
        seen = run.model(Batch(x), LiveNoise(0), 2000)
        error = (seen.distortion.std(0) / 1).mean() / 57**0.5
        assert abs(row["train/distortion"] - float(seen.mean(seen.distortion))) < 4 * float(error)
    assert row["train/rate"] == pytest.approx(sum(row["train/rates"]))
    assert row["train/neg_elbo"] == pytest.approx(row["train/rate"] + row["train/distortion"])


def test_a_diverged_run_stops_and_keeps_its_last_good_weights() -> None:
    run = trainer(epochs=20)
    run.run_epoch()
    good = {k: v.clone() for k, v in run.model.state_dict().items()}
    with torch.no_grad():
        run.objective.beta.fill_(torch.nan)
    row = run.run_epoch()
    assert run.done
    assert run.status == "diverged"
    assert np.isnan(row["train/loss"])
    assert all(torch.equal(v, good[k]) for k, v in run.model.state_dict().items())
    twin = trainer()
    load_weights(twin.model, run.weights(), "weights")
    assert all(p.isfinite().all() for p in twin.model.parameters())


def test_exploding_weights_are_noticed_even_when_the_loss_was_finite() -> None:
    run = trainer(optimiser={"name": "adam", "lr": 1e38}, batch_size=57)
    run.run_epoch()
    assert run.status == "diverged"


@pytest.mark.spec("VF51")
def test_early_stopping_stops_after_patience_and_keeps_the_best_epoch() -> None:
    run = trainer(data(40), epochs=400, optimiser={"name": "adam", "lr": 0.02}, early_stopping={"patience": 5})
    rows = finish(run)
    held_out = [row["validation/neg_elbo"] for row in rows]
    best = int(np.argmin(held_out))
    assert len(rows) == best + 1 + 5 < 400
    replay = trainer(data(40), epochs=400, optimiser={"name": "adam", "lr": 0.02})
    for _ in range(best + 1):
        replay.run_epoch()
    kept, _ = checkpoint.from_bytes(run.weights(), "weights")
    assert all(torch.equal(v, kept[k]) for k, v in replay.model.state_dict().items())


@pytest.mark.spec("RD41")
def test_normalised_gradients_have_unit_norm_and_forget_the_scale() -> None:
    gradients = [torch.randn(5, 3), 1e6 * torch.randn(7), 1e-3 * torch.randn(2)]
    normalise_(gradients)
    assert all(float(g.norm()) == pytest.approx(1.0, rel=1e-3) for g in gradients)

    def trained(scale: float, normalise: bool) -> torch.Tensor:
        weight = nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))
        adam = Adam([weight], lr=0.1, eps=1e-2, normalise=normalise)
        for _ in range(5):
            (scale * weight.square().sum()).backward()
            adam.step()
        return weight.detach()

    assert torch.allclose(trained(1.0, True), trained(1000.0, True), atol=1e-5)
    assert not torch.allclose(trained(1e-2, False), trained(1000.0, False), atol=1e-3)


@pytest.mark.spec("RD42")
def test_the_learning_rate_is_constant_then_falls_linearly() -> None:
    adam = Adam([nn.Parameter(torch.zeros(1))], lr=3e-4, constant=0.5)
    assert [adam.at(e, 200) for e in (0, 100, 150, 200)] == pytest.approx([3e-4, 3e-4, 1.5e-4, 0.0])
    assert adam.inner.param_groups[0]["lr"] == 0.0


def test_clipping_bounds_the_whole_gradient() -> None:
    weights = [nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(2))]
    adam = Adam(weights, lr=1e-9, clip=1.0)
    for w in weights:
        w.grad = torch.full_like(w, 100.0)
    kept = [w.grad for w in weights]
    adam.step()
    assert float(torch.cat(kept).norm()) == pytest.approx(1.0, rel=1e-4)


def test_a_corrupt_or_foreign_checkpoint_is_one_clear_line() -> None:
    run = trainer()
    blob = run.save()
    for bad in (b"", b"garbage", blob[:100], blob[: len(blob) // 2]):
        with pytest.raises(UserError, match=r"checkpoint\.safetensors is corrupt") as caught:
            trainer().restore(bad, "checkpoint.safetensors")
        assert "\n" not in str(caught.value)
    other = trainer(Dataset("wide", Support.BINARY, *[Split(np.zeros((30, 1, 5, 5), np.uint8))] * 3))
    with pytest.raises(UserError, match="does not fit this model") as caught:
        other.restore(blob, "checkpoint.safetensors")
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_another_device_says_where_to_continue() -> None:
    """Generators of different devices have states of different sizes: a GPU's is 16 bytes."""
    tensors, facts = trainer().full_state()
    tensors |= {name: value[:16] for name, value in tensors.items() if name.startswith("stream/")}
    with pytest.raises(UserError, match=r"was made on another device than 'cpu'.*continue it there") as caught:
        trainer().restore(checkpoint.to_bytes(tensors, facts), "checkpoint.safetensors")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("node", "says"),
    [
        ({"name": "adam", "lr": -1.0}, "optimiser.lr"),
        ({"name": "adam", "learning_rate": 1.0}, "unknown key"),
        ("sgdd", "unknown optimiser"),
    ],
)
def test_optimiser_mistakes_are_named(node: object, says: str) -> None:
    with pytest.raises(UserError, match=says):
        OPTIMISERS.resolve(node, "optimiser")

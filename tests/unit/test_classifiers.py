"""Classifiers: the networks and their counts, runs of the store that estimators ask for, and what they say about images."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ratelab.analysis.helped import helped
from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.core.estimate import Estimate
from ratelab.data import DATASETS
from ratelab.estimators import ESTIMATORS
from ratelab.evaluation import evaluate
from ratelab.models import MODELS
from ratelab.models.classifier import cropped_and_flipped
from ratelab.networks.classifiers import CLASSIFIERS
from ratelab.runs import Circumstances, execute, expand, open_run, read_recipe, resolve
from ratelab.runs.judges import helper_recipe, recipes_for
from ratelab.store import Store


def classes(n: int = 60, channels: int = 1, side: int = 8, labels: bool = True) -> Dataset:
    """Images whose label is which of three stripes is bright."""
    y = np.arange(n) % 3
    x = (np.random.default_rng(0).random((n, channels, side, side)) < 0.1).astype(np.uint8)
    for row, label in zip(x, y, strict=True):
        row[:, label * side // 3 : (label + 1) * side // 3] = 1
    split = Split(x, y if labels else None)
    return Dataset("stripes", Support.BINARY, split, split, split)


def made(dataset: Dataset, network: str = "mnist", augment: str = "none") -> Any:
    torch.manual_seed(0)
    node = {"name": "classifier", "network": network, "augment": augment}
    return MODELS.build(MODELS.resolve(node, "model"), dataset)


@pytest.mark.spec("HV37", "HV38")
@pytest.mark.parametrize(("name", "shape", "parameters", "features"), [
    ("mnist", (1, 28, 28), 1_199_882, 128),
    ("resnet-18", (3, 32, 32), 11_173_962, 512),
    ("densenet-121", (3, 32, 32), 6_956_298, 1024),
    ("small", (3, 32, 32), 288_746, 128),
])  # fmt: skip
def test_the_networks_have_their_known_parameter_counts(
    name: str, shape: tuple[int, ...], parameters: int, features: int
) -> None:
    network = CLASSIFIERS.build({"name": name}, shape, 10).eval()
    assert sum(p.numel() for p in network.parameters()) == parameters
    x = torch.rand(2, *shape)
    assert network.features(x).shape == (2, features)
    assert network(x).shape == (2, 10)


@pytest.mark.spec("HV36")
def test_the_mnist_network_goes_through_9216_and_128_features() -> None:
    network = CLASSIFIERS.build({"name": "mnist"}, (1, 28, 28), 10)
    maps, dense = network.stages
    assert maps(torch.zeros(1, 1, 28, 28)).shape == (1, 9216)
    assert (dense[0].in_features, dense[0].out_features, network.head.out_features) == (9216, 128, 10)
    assert network.drops == (0.25, 0.5)


LARGE = [pytest.param(name, marks=pytest.mark.slow) for name in ("resnet-18", "densenet-121")]


@pytest.mark.parametrize("name", ["mnist", "small", *LARGE])
def test_a_few_steps_lower_the_cross_entropy(name: str) -> None:
    dataset = classes(12, channels=1 if name == "mnist" else 3, side=8 if name == "mnist" else 32)
    model = made(dataset, name)
    batch = Batch(torch.as_tensor(dataset.train.x).float(), y=torch.as_tensor(dataset.train.y))
    learner, noise, losses = torch.optim.Adam(model.parameters(), 1e-3), LiveNoise(0), []
    for _ in range(8):
        learner.zero_grad()
        seen = model(batch, noise)
        loss = seen.mean(seen.distortion)
        loss.backward()
        learner.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert seen.rates.shape == (0, 1, 12)


def test_dropout_draws_from_the_given_noise_and_only_in_training() -> None:
    dataset = classes()
    model = made(dataset)
    batch = Batch(torch.as_tensor(dataset.train.x[:6]).float(), y=torch.as_tensor(dataset.train.y[:6]))
    a, b, other = (model(batch, LiveNoise(seed)).distortion for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, other)
    model.eval()
    assert torch.equal(model(batch, LiveNoise(0)).distortion, model(batch, LiveNoise(1)).distortion)
    assert torch.allclose(
        -model.log_probs(batch.x).gather(1, batch.y[:, None]).squeeze(), model(batch, LiveNoise(0)).distortion[0]
    )


def test_training_images_are_cropped_and_mirrored_anew_at_every_look() -> None:
    x = torch.arange(1.0, 1 + 400 * 2 * 5 * 6).view(400, 2, 5, 6)
    seen = cropped_and_flipped(x, LiveNoise(0))
    wide = torch.nn.functional.pad(x, (4, 4, 4, 4))
    windows = {(i, j): wide[:, :, i : i + 5, j : j + 6] for i in range(9) for j in range(9)}
    fits = torch.stack(
        [(seen == w.flip(-1) if m else seen == w).flatten(1).all(1) for w in windows.values() for m in (False, True)]
    )
    assert fits.any(0).all()
    counts = fits.sum(1).view(81, 2)  # each place and its mirror image, about 400 / 162 times
    assert (counts.sum(1) > 0).sum() > 70
    assert abs(counts.sum(0)[0] / counts.sum() - 0.5) < 4 * 0.5 / 20
    model = made(classes(), augment="crop-flip")
    batch = Batch(torch.as_tensor(classes().train.x[:6]).float(), y=torch.as_tensor(classes().train.y[:6]))
    plain = made(classes())
    plain.load_state_dict(model.state_dict())
    assert not torch.equal(model(batch, LiveNoise(0)).distortion, plain(batch, LiveNoise(0)).distortion)
    assert torch.equal(model.eval()(batch, LiveNoise(0)).distortion, plain.eval()(batch, LiveNoise(0)).distortion)


def test_dropout_keeps_the_mean() -> None:
    model = made(classes())
    seen: list[torch.Tensor] = []
    model.network = CLASSIFIERS.build({"name": "mnist"}, (1, 8, 8), 3)
    model.network.features = lambda x, drop: seen.append(drop(torch.ones(4000, 5), 0.25)) or torch.zeros(len(x), 128)
    model(Batch(torch.zeros(2, 1, 8, 8), y=torch.zeros(2).long()), LiveNoise(0))
    assert seen[0].unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert seen[0].mean().item() == pytest.approx(1.0, abs=4 * math.sqrt(1 / 3 / 20_000))


@pytest.mark.parametrize(("call", "message"), [
    (lambda: made(classes(labels=False)), "learns from labels, and 'stripes' has none"),
    (lambda: made(classes(side=12), "resnet-18"), "takes square images .* 32 on, not data of shape"),
    (lambda: made(classes()).generate(3, LiveNoise(0)), "has no latents"),
    (lambda: made(classes()).decode(()), "has no latents"),
    (lambda: made(classes()).log_joint(torch.zeros(1), ()), "has no latents"),
])  # fmt: skip
def test_what_a_classifier_is_not_for_is_said(call: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        call()


class Oracle(torch.nn.Module):
    """Knows the stripes."""

    event_shape, classes = (1, 8, 8), 3

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([x[:, 0, label * 8 // 3 : (label + 1) * 8 // 3].mean((1, 2)) for label in range(3)], -1)

    def log_probs(self, x: torch.Tensor) -> torch.Tensor:
        return (40 * self.features(x)).log_softmax(-1)


def mirror(dataset: Dataset) -> Any:
    """A model whose reconstructions are the examples themselves: an identity decoder behind an identity encoder."""
    node = {"name": "vae", "latent_dim": 64, "encoder": "deterministic", "decoder": {"name": "gaussian", "sigma": 1.0}}
    model = MODELS.build(MODELS.resolve(node, "model"), dataset)
    model.encoder.network = torch.nn.Flatten()
    model.encoder.out = torch.nn.Identity()
    model.decoder.network = torch.nn.Unflatten(-1, (1, 8, 8))
    return model


def real(dataset: Dataset) -> Dataset:
    split = Split(dataset.train.x.astype(np.float32), dataset.train.y)
    return Dataset("stripes", Support.UNIT, split, split, split)


@pytest.mark.spec("HV33")
def test_an_identity_decoder_has_the_accuracy_of_the_classifier() -> None:
    dataset = real(classes())
    node = {"name": "reconstruction-accuracy", "classifier": "any"}
    found, arrays = evaluate(mirror(dataset), dataset, "test", [node], seed=0, helper=lambda *_: Oracle())  # type: ignore[arg-type, return-value]
    oracle = Oracle().log_probs(torch.as_tensor(dataset.test.x))
    accuracy = (oracle.argmax(-1).numpy() == dataset.test.y).mean()
    assert found["reconstruction_accuracy"].value == pytest.approx(accuracy)  # type: ignore[union-attr]
    assert accuracy > 0.9
    entropy = -(oracle.exp() * oracle).sum(-1).mean().item()
    assert found["reconstruction_entropy"].value == pytest.approx(entropy, rel=1e-4)  # type: ignore[union-attr]
    assert len(arrays["recognised"]) == 60


@pytest.mark.spec("HV25", "HV32", "DM45")
def test_scores_of_generation_look_at_the_means_of_draws() -> None:
    dataset = real(classes())
    model = mirror(dataset)
    nodes = [
        {"name": "inception-score", "classifier": "any", "samples": 90, "splits": 3},
        {"name": "fid", "classifier": "any", "samples": 90},
    ]
    found, _ = evaluate(model, dataset, "test", nodes, seed=0, helper=lambda *_: Oracle())  # type: ignore[arg-type, return-value]
    assert 1 <= found["inception_score"].value <= 3  # type: ignore[union-attr]
    assert found["inception_score"].n == 90  # type: ignore[union-attr]
    assert found["fid"].value > 0  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["fid", "inception-score", "reconstruction-accuracy"])
@pytest.mark.parametrize(("judge", "message"), [
    (None, "needs a trained classifier, a run of a store"),
    ((3, 32, 32), r"the classifier takes examples of shape \(3, 32, 32\), the model makes \(1, 8, 8\)"),
])  # fmt: skip
def test_a_classifier_that_is_missing_or_of_the_wrong_shape_is_one_line(judge: Any, message: str, name: str) -> None:
    dataset = real(classes())
    wrong = Oracle()
    wrong.event_shape = judge  # type: ignore[assignment]
    node = ESTIMATORS.resolve({"name": name, "classifier": "any"}, "estimators")
    with pytest.raises(UserError, match=message):
        evaluate(mirror(dataset), dataset, "test", [node], seed=0, helper=judge and (lambda *_: wrong))  # type: ignore[arg-type, return-value]


def test_too_little_for_a_score_is_refused_before_a_classifier_is_trained() -> None:
    """A covariance takes two examples, and every split of the draws one of them."""

    def helper(*_: Any) -> Any:
        raise AssertionError("trained in vain")

    dataset = real(classes())
    few = replace(dataset, test=Split(dataset.test.x[:1], dataset.test.y[:1]))
    with pytest.raises(UserError, match="'fid' needs at least 2 examples, and the test split of 'stripes' has 1"):
        evaluate(mirror(dataset), few, "test", [ESTIMATORS.resolve("fid", "e")], seed=0, helper=helper)
    with pytest.raises(UserError, match="splits"):
        ESTIMATORS.resolve({"name": "inception-score", "samples": 10, "splits": 11}, "e")


CLASSIFIER = """
data: digits
model: {name: classifier, network: mnist}
training: {epochs: 2, batch_size: 50}
evaluation: {estimators: [accuracy]}
"""


def judged(place: Path, **changes: Any) -> Any:
    """A small VAE on digits judged by a classifier whose recipe lies in ``place``."""
    (place / "classifier.yaml").write_text(CLASSIFIER)
    nodes = [
        {"name": name, "classifier": str(place / "classifier.yaml")} for name in ("reconstruction-accuracy", "inception-score")
    ]
    nodes[1]["samples"] = 50  # type: ignore[assignment]
    small = {"name": "mlp", "hidden": [8]}
    recipe = {
        "data": {"name": "digits", "limit": 200},
        "model": {
            "name": "vae",
            "latent_dim": 2,
            "encoder": {"name": "gaussian", "network": small},
            "decoder": {"name": "bernoulli", "network": small},
        },
        "training": {"epochs": 1, "batch_size": 50},
        "evaluation": {"estimators": nodes},
    }
    return resolve({**recipe, **changes})


@pytest.mark.spec("HV33")
def test_the_classifier_is_a_run_of_the_store_trained_once_on_the_models_own_data(tmp_path: Path) -> None:
    from ratelab.analysis.plane import plane

    store = Store.create(tmp_path / "runs")
    results = execute(judged(tmp_path), store, Circumstances())
    assert set(results["estimates"]) >= {
        "reconstruction_accuracy",
        "reconstruction_entropy",
        "inception_score",
        "diversity",
        "sharpness",
    }
    (helper,) = [folder for folder in store.runs() if folder.id != results["run"]]
    found = helper.results() or {}
    assert found["recipe"]["data"] == {**found["recipe"]["data"], "name": "digits", "limit": 200}
    assert 0 < Estimate.from_json(found["estimates"]["accuracy"]).value <= 1
    assert found["estimates"]["rate"]["value"] == 0
    execute(judged(tmp_path, seed=1), store, Circumstances())
    assert len(store.runs()) == 3  # two models, one classifier
    chosen = plane(store.path)
    assert {p.run: p.apart for p in chosen.apart} == {helper.id: "its distortion is of the label, not of the example"}


@pytest.mark.parametrize("asked", [True, False])
def test_the_accuracy_of_the_judge_stands_beside_its_scores_whether_its_recipe_asks_for_it_or_not(
    asked: bool, tmp_path: Path
) -> None:
    store = Store.create(tmp_path / "runs")
    recipe = judged(tmp_path)
    if not asked:
        (tmp_path / "classifier.yaml").write_text(CLASSIFIER.replace("[accuracy]", "[rate-distortion]"))
    results = execute(recipe, store, Circumstances())
    used = results["helpers"]["inception-score"]
    judge = open_run(store.run(used["run"]))
    assert ("accuracy" in (store.run(used["run"]).results() or {})["estimates"]) == asked
    x, y = torch.as_tensor(judge.dataset.test.x).float(), judge.dataset.test.y
    right = judge.model.log_probs(x).argmax(-1).numpy() == y  # type: ignore[operator]
    assert used["accuracy"]["value"] == pytest.approx(right.mean())
    assert used["accuracy"]["n"] == len(right)
    share = f"test accuracy {100 * right.mean():.1f} ± {100 * used['accuracy']['stderr']:.1f} %"
    (line,) = helped(results)
    assert line.startswith(
        f"reconstruction-accuracy, inception-score: judged by run {used['run']}, {share} (seed 0, trained in "
    )


@pytest.mark.parametrize(("data", "message"), [
    ("{name: digits, binarise: none}", "is of digits with binarise: none, the run of digits with binarise: threshold;"),
    ("{name: mnist, binarise: round}", "is of mnist, the run of digits; name a recipe of the run's data, or one without 'data'"),
])  # fmt: skip
def test_a_classifier_of_other_data_is_refused_before_training(data: str, message: str, tmp_path: Path) -> None:
    store, recipe = Store.create(tmp_path / "runs"), judged(tmp_path)
    (tmp_path / "classifier.yaml").write_text(CLASSIFIER.replace("data: digits", f"data: {data}"))
    with pytest.raises(UserError, match=message) as caught:
        execute(recipe, store, Circumstances())
    assert "\n" not in str(caught.value)
    assert not store.runs()


def test_a_classifier_without_data_of_its_own_takes_those_of_the_run_and_splits_are_always_the_runs(tmp_path: Path) -> None:
    run = {"name": "digits", "limit": 200, "held_out": None, "binarise": "threshold"}
    for written in ("", "data: {name: digits, limit: 40}", "data: digits"):
        (tmp_path / "classifier.yaml").write_text(CLASSIFIER.replace("data: digits", written))
        node = {"name": "fid", "classifier": str(tmp_path / "classifier.yaml")}
        (recipe,) = (resolve({"data": run, "model": "vae"}),)
        assert helper_recipe(recipe, node, "any", lambda _: 200).data == run


def test_the_recipes_that_fit_some_data_are_named() -> None:
    def fitting(**data: Any) -> list[str]:
        return recipes_for(DATASETS.resolve(data, "data"))

    assert fitting(name="mnist", binarise="round", limit=10_000) == [
        "xiao2023/mnist-classifier",
        "xiao2023/quick-mnist-classifier",
    ]
    assert fitting(name="cifar-10", batches=[1]) == ["xiao2023/cifar-10-classifier", "xiao2023/small-classifier"]
    assert fitting(name="svhn") == ["xiao2023/small-svhn-classifier", "xiao2023/svhn-classifier"]
    assert fitting(name="mnist") == fitting(name="digits") == []


@pytest.mark.slow
@pytest.mark.spec("HV36")
def test_two_epochs_tell_98_of_100_rounded_digits_apart(real_data: Path, tmp_path: Path) -> None:
    (recipe,) = expand(read_recipe("xiao2023/mnist-classifier"), ["training.epochs=2"])
    assert recipe.data["binarise"] == "round"
    results = execute(recipe, Store.create(tmp_path / "runs"), Circumstances(data_folder=real_data))
    found = Estimate.from_json(results["estimates"]["accuracy"])
    print(found)
    assert found.n == 10_000
    assert found.value >= 0.98


def test_a_recipe_of_no_classifier_or_of_images_it_cannot_take_is_refused_before_training(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "runs")
    wrong = judged(tmp_path)
    (tmp_path / "classifier.yaml").write_text(CLASSIFIER.replace("network: mnist", "network: resnet-18"))
    with pytest.raises(UserError, match="classifier 'resnet-18' takes square images"):
        execute(wrong, store, Circumstances())
    (tmp_path / "classifier.yaml").write_text("data: digits\nmodel: vae\n")
    with pytest.raises(UserError, match="is a recipe of model 'vae'; name one of model 'classifier'"):
        execute(wrong, store, Circumstances())
    (tmp_path / "classifier.yaml").unlink()
    with pytest.raises(UserError, match="estimator 'reconstruction-accuracy': classifier"):
        execute(wrong, store, Circumstances())
    assert not store.runs()

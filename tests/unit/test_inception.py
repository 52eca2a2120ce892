"""Inception v3 with a user's weights: torchvision's names and counts, the features, and files that are not what they should be."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ratelab.core.batch import LiveNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.divergences.frechet import moments
from ratelab.estimators import judged
from ratelab.estimators.inception_distance import InceptionDistance
from ratelab.estimators.judged import drawn_images
from ratelab.evaluation import evaluate
from ratelab.models import MODELS
from ratelab.networks import inception_v3
from ratelab.networks.inception_v3 import InceptionV3, read_inception


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return InceptionV3().state_dict()


@pytest.fixture(scope="module")
def file(weights: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights with the classifiers of torchvision's file, which nothing here asks for."""
    path = tmp_path_factory.mktemp("weights") / "inception_v3.safetensors"
    save_file({**weights, "fc.weight": torch.zeros(1000, 2048), "AuxLogits.fc.bias": torch.zeros(1000)}, path)
    return path


def test_names_and_counts_are_those_of_torchvision(weights: dict[str, torch.Tensor]) -> None:
    network = InceptionV3()
    features = sum(p.numel() for p in network.parameters())
    head, auxiliary = 2048 * 1000 + 1000, 768 * 128 + 2 * 128 + 128 * 768 * 25 + 2 * 768 + 768 * 1000 + 1000
    assert features + head == 23_834_568
    assert features + head + auxiliary == 27_161_264
    assert {name.split(".")[0] for name in weights} == {
        "Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3", "Mixed_5b", "Mixed_5c", "Mixed_5d",
        "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e", "Mixed_7a", "Mixed_7b", "Mixed_7c",
    }  # fmt: skip
    shapes = {
        "Conv2d_1a_3x3.conv.weight": (32, 3, 3, 3), "Conv2d_4a_3x3.bn.running_var": (192,),
        "Mixed_5b.branch5x5_2.conv.weight": (64, 48, 5, 5), "Mixed_5d.branch3x3dbl_3.bn.weight": (96,),
        "Mixed_6a.branch3x3.conv.weight": (384, 288, 3, 3), "Mixed_6b.branch7x7_2.conv.weight": (128, 128, 1, 7),
        "Mixed_6e.branch7x7dbl_4.conv.weight": (192, 192, 7, 1), "Mixed_7a.branch7x7x3_4.conv.weight": (192, 192, 3, 3),
        "Mixed_7b.branch3x3_2a.conv.weight": (384, 384, 1, 3), "Mixed_7c.branch3x3dbl_3b.conv.weight": (384, 384, 3, 1),
        "Mixed_7c.branch_pool.bn.bias": (192,),
    }  # fmt: skip
    assert {name: tuple(weights[name].shape) for name in shapes} == shapes
    assert network.Mixed_6b.branch1x1.bn.eps == 0.001  # type: ignore[union-attr]


@torch.no_grad()
def test_images_of_any_size_become_2048_features_by_way_of_the_papers_sizes(file: Path) -> None:
    network = read_inception(str(file))
    sides = []
    x = torch.rand(1, 3, 299, 299, generator=torch.Generator().manual_seed(0))
    maps = 2 * x - 1
    for layer in network.maps():
        maps = layer(maps)
        sides.append(tuple(maps.shape[1:]))
    assert sides[:7] == [
        (32, 149, 149),
        (32, 147, 147),
        (64, 147, 147),
        (64, 73, 73),
        (80, 73, 73),
        (192, 71, 71),
        (192, 35, 35),
    ]
    assert sides[7:] == [
        (256, 35, 35), (288, 35, 35), (288, 35, 35), *[(768, 17, 17)] * 5, (1280, 8, 8), (2048, 8, 8), (2048, 8, 8)
    ]  # fmt: skip
    assert torch.allclose(network(x), maps.mean((2, 3)), atol=1e-5)
    grey = network(torch.rand(1, 1, 28, 28))
    assert grey.shape == (1, 2048)
    assert not network.training


def images(low: float = 0.0) -> Dataset:
    x = (low + np.random.default_rng(0).random((12, 1, 8, 8))).astype(np.float32)
    return Dataset("images", Support.REAL if low else Support.UNIT, Split(x), Split(x), Split(x))


def model_of(dataset: Dataset) -> Any:
    torch.manual_seed(0)
    small = {"network": {"name": "mlp", "hidden": [4]}}
    node = {"name": "vae", "latent_dim": 2, "encoder": {"name": "gaussian", **small}, "decoder": {"name": "gaussian", **small}}
    return MODELS.build(MODELS.resolve(node, "model"), dataset)


def compared(a: tuple[torch.Tensor, torch.Tensor], b: tuple[torch.Tensor, torch.Tensor]) -> float:
    """In place of the Frechet distance, whose roots of 2048x2048 matrices take ten seconds and are tested elsewhere."""
    return float((a[0] - b[0]).square().sum() + (a[1] - b[1]).square().sum())


@torch.no_grad()
def test_the_distance_is_that_of_the_features_of_examples_and_of_means_of_draws(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inception_v3, "SIDE", 75)  # the smallest that reaches the end, sixteen times as fast
    monkeypatch.setattr(judged, "frechet", compared)
    dataset = images()
    model = model_of(dataset)
    node = {"name": "fid-inception", "weights": str(file), "samples": 20}
    found: Any = evaluate(model, dataset, "test", [node], seed=3)[0]["fid_inception"]
    network = read_inception(str(file))
    (drawn,) = drawn_images(model, 20, LiveNoise.for_purpose(3, "evaluation/test/fid-inception"))
    wanted = compared(moments(network(torch.as_tensor(dataset.test.x))), moments(network(drawn)))
    assert found.value == pytest.approx(wanted, rel=1e-3)
    assert found.value > 0
    assert (found.n, found.unit) == (20, "1")
    assert math.isnan(found.stderr)


def damaged(weights: dict[str, torch.Tensor], folder: Path, how: str) -> Path:
    """A file that is not what it should be."""
    path = folder / "w.safetensors"
    if how in ("absent", "folder"):
        return path if how == "absent" else folder
    changed = dict(weights)
    if how == "lacking":
        del changed["Mixed_6c.branch7x7_2.bn.running_mean"]
    if how == "other":
        changed["head.weight"] = torch.zeros(3)
    if how == "shape":
        changed["Mixed_5b.branch1x1.conv.weight"] = torch.zeros(64, 192, 3, 3)
    save_file(changed, path)
    if how == "cut":
        path.write_bytes(path.read_bytes()[:100_000])
    if how == "text":
        path.write_text("not weights")
    return path


@pytest.mark.parametrize(("how", "message"), [
    ("absent", "inception_v3; there is none"),
    ("folder", "it is none, or is cut off"),
    ("cut", "it is none, or is cut off"),
    ("text", "it is none, or is cut off"),
    ("lacking", "this file lacks 'Mixed_6c.branch7x7_2.bn.running_mean'"),
    ("other", "this file has 'head.weight', which that has not"),
    ("shape", r"has 'Mixed_5b.branch1x1.conv.weight' of shape \(64, 192, 3, 3\) in place of \(64, 192, 1, 1\)"),
])  # fmt: skip
def test_a_file_that_is_not_the_networks_weights_is_one_line(
    weights: dict[str, torch.Tensor], tmp_path: Path, how: str, message: str
) -> None:
    path = damaged(weights, tmp_path, how)
    with pytest.raises(UserError, match=message) as caught:
        evaluate(model_of(images()), images(), "test", [{"name": "fid-inception", "weights": str(path), "samples": 10}], seed=0)
    assert "\n" not in str(caught.value)


def test_what_is_no_image_and_a_path_that_is_not_given_are_said() -> None:
    with pytest.raises(UserError, match="needs 'weights', the path of a safetensors file"):
        evaluate(model_of(images()), images(), "test", [{"name": "fid-inception", "samples": 10}], seed=0)
    with pytest.raises(UserError, match=r"images of 1 or 3 channels in \[0, 1\]"):
        evaluate(model_of(images(low=-3.0)), images(low=-3.0), "test", [{"name": "fid-inception", "weights": "w"}], seed=0)
    part = InceptionDistance(weights="w", samples=10)
    part.distance.see(torch.zeros(3, 5))
    part.merge(part)
    assert len(part.distance.seen) == 2

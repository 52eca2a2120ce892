"""What one does with a trained model: encode, decode, reconstruct, sample, interpolate, draw; and evaluation as a whole."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.evaluation import draw_pictures, evaluate
from ratelab.evaluation.latents import between, decode, encode, interpolate, reconstruct, sample
from ratelab.evaluation.pictures import grid
from ratelab.models import MODELS

MLP = {"name": "mlp", "hidden": [16]}


def images(n_test: int = 30, channels: int = 1) -> Dataset:
    x = (np.random.default_rng(0).random((60, channels, 8, 6)) < 0.3).astype(np.uint8)
    return Dataset("bits", Support.BINARY, Split(x), Split(x[:20]), Split(x[:n_test]))


def hierarchy(dataset: Dataset) -> Model:
    node = {
        "name": "hierarchy",
        "latent_dim": [2, 3],
        "encoder": {"name": "gaussian", "network": MLP},
        "decoder": {"name": "bernoulli", "network": MLP},
    }
    torch.manual_seed(0)
    return MODELS.build(MODELS.resolve(node, "model"), dataset)


def floats(dataset: Dataset) -> np.ndarray:
    return dataset.test.x.astype(np.float32)


def test_codes_are_modes_top_layer_first_and_decode_back() -> None:
    dataset = images()
    model = hierarchy(dataset)
    x = floats(dataset)
    top, bottom = encode(model, x)
    assert top.shape == (30, 2)
    assert bottom.shape == (30, 3)
    assert all(np.array_equal(a, b) for a, b in zip(encode(model, x), (top, bottom), strict=True))
    again = encode(model, x, seed=1)
    assert not np.allclose(again[0], top)
    assert decode(model, [top, bottom]).shape == x.shape
    with torch.no_grad():
        mean = model.encode_top(torch.as_tensor(x)).mean.numpy()
    assert np.allclose(top, mean, atol=1e-6)


@pytest.mark.spec("GE06")
def test_reconstructions_share_one_code_per_example() -> None:
    dataset = images()
    model, x = hierarchy(dataset), floats(images())
    one = reconstruct(model, x, seed=0, draws=2000)
    assert {name: a.shape for name, a in one.items()} == dict.fromkeys(("mean", "sample", "average"), x.shape)
    assert set(np.unique(one["sample"])) <= {0.0, 1.0}
    error = 5 * np.sqrt(one["mean"] * (1 - one["mean"]) / 2000)
    assert (np.abs(one["average"] - one["mean"]) < error + 1e-6).all(), "the average is of draws with the same code as the mean"
    assert np.array_equal(reconstruct(model, x, seed=0, draws=3)["mean"], one["mean"])


def test_samples_are_reproducible_and_of_the_right_shape() -> None:
    model = hierarchy(images())
    a, b, c = sample(model, 700, 0), sample(model, 700, 0), sample(model, 700, 1)
    assert a["mean"].shape == a["sample"].shape == (700, 1, 8, 6)
    assert np.array_equal(a["sample"], b["sample"])
    assert not np.array_equal(a["sample"], c["sample"])


def test_interpolations_start_and_end_at_the_reconstructions_of_the_pair() -> None:
    dataset = images()
    model, x = hierarchy(dataset), floats(images())
    for path in ("linear", "spherical"):
        frames = interpolate(model, x[:4], x[4:8], steps=5, path=path)
        assert frames.shape == (4, 5, 1, 8, 6)
        assert np.allclose(frames[:, 0], decode(model, encode(model, x[:4])), atol=1e-5)
        assert np.allclose(frames[:, -1], decode(model, encode(model, x[4:8])), atol=1e-5)


def test_the_great_circle_keeps_the_length() -> None:
    a, b = np.array([[3.0, 0.0]]), np.array([[0.0, 3.0]])
    middle = between(a, b, 0.5, "spherical")
    assert np.allclose(middle, [[3 / 2**0.5, 3 / 2**0.5]])
    assert np.allclose(between(a, b, 0.5, "linear"), [[1.5, 1.5]])
    assert np.allclose(between(a, 2 * a, 0.5, "spherical"), 1.5 * a)


@pytest.mark.parametrize("n_test", [5, 12, 30, 40])
def test_pictures_pair_each_example_with_its_own_reconstruction(n_test: int) -> None:
    dataset = images(n_test)
    pictures = draw_pictures(hierarchy(dataset), dataset, seed=0)
    canvas = np.asarray(Image.open(io.BytesIO(pictures["reconstructions"])))
    columns = min(12, n_test)
    factor = 6  # the shorter side of 6 pixels is enlarged to at least 32
    assert canvas.shape[1] == columns * (6 * factor + 2) - 2
    rows = (canvas.shape[0] + 2) // (8 * factor + 2)
    assert rows == 2 * (min(36, n_test) // columns)
    for row in range(0, rows, 2):
        tile = canvas[row * (8 * factor + 2) : row * (8 * factor + 2) + 8 * factor : factor, : 6 * factor : factor, 0]
        assert set(np.unique(tile)) <= {0, 255}, "rows in pairs: the binary originals above"
    assert set(pictures) == {"reconstructions", "samples"}


def test_colour_is_kept_and_tables_have_no_pictures() -> None:
    red = np.zeros((1, 3, 4, 4))
    red[:, 0] = 1
    assert grid(red, 1).tolist() == np.broadcast_to([255, 0, 0], (4, 4, 3)).tolist()
    x = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
    table = Dataset("table", Support.REAL, Split(x), Split(x), Split(x))
    model = MODELS.build(MODELS.resolve({"name": "vae", "decoder": "gaussian"}, "model"), table)
    assert draw_pictures(model, table, 0) == {}


def test_an_estimator_added_never_changes_another() -> None:
    dataset = images()
    model = hierarchy(dataset)
    alone, _ = evaluate(model, dataset, "test", [{"name": "rate-distortion", "samples": 1}], seed=3)
    both = [
        {"name": "psnr", "range": 1.0},
        {"name": "iwae", "samples": 7, "chunk": 3},
        {"name": "rate-distortion", "samples": 1},
    ]
    together, arrays = evaluate(model, dataset, "test", both, seed=3)
    assert together["rate"] == alone["rate"]
    assert together["distortion"] == alone["distortion"]
    assert {"rate", "rates", "distortion", "neg_elbo", "iwae", "squared_error"} == set(arrays)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda m, x: encode(m, x[:, :, :4]), "examples have shape"),
        (lambda m, x: decode(m, [np.zeros((2, 9)), np.zeros((2, 3))]), "latents have shape"),
        (lambda m, x: sample(m, 0, 0), "at least 1"),
        (lambda m, x: interpolate(m, x, x, steps=1), "at least 2 steps"),
    ],
)
def test_mistakes_are_one_line(call, says) -> None:
    dataset = images()
    with pytest.raises(UserError, match=says):
        call(hierarchy(dataset), floats(dataset))

"""MNIST in its four binarisations, static MNIST, and the entropy of pixel sampling."""

import gzip
import math

import numpy as np
import pytest
from data_files import amat, write_mnist

from ratelab.core.dataset import Support
from ratelab.core.errors import UserError
from ratelab.data import load
from ratelab.data.entropy import pixel_sampling_entropy


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_validation_is_the_end_of_the_training_images(tmp_path, ending):
    write_mnist(tmp_path, ending=ending)
    d = load({"name": "mnist", "validation": 12}, tmp_path)
    assert d.support is Support.LEVELS
    assert d.event_shape == (1, 28, 28)
    assert d.scale == pytest.approx(1 / 255)
    np.testing.assert_array_equal(d.train.y, np.arange(18) % 10)
    np.testing.assert_array_equal(d.validation.y, np.arange(18, 30) % 10)
    assert len(d.test) == 10


@pytest.mark.spec("HV41")
def test_rounded_is_the_rounded_grey_value(tmp_path):
    write_mnist(tmp_path)
    grey = load({"name": "mnist", "validation": 10}, tmp_path)
    d = load({"name": "mnist", "validation": 10, "binarise": "round"}, tmp_path)
    assert d.support is Support.BINARY
    assert d.scale == 1
    for which in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(d, which).x, np.round(getattr(grey, which).x / 255))


def test_dynamic_keeps_training_grey_and_draws_the_rest_once(tmp_path):
    write_mnist(tmp_path)
    grey = load({"name": "mnist", "validation": 10}, tmp_path)
    node = {"name": "mnist", "validation": 10, "binarise": "dynamic"}
    d, again = load(node, tmp_path), load(node, tmp_path)
    assert d.resampled
    assert d.support is Support.BINARY
    np.testing.assert_array_equal(d.train.x, grey.train.x)
    assert set(np.unique(d.test.x)) == {0, 1}
    assert d.scale == 1
    assert d.digest == again.digest
    # Each held-out pixel is Bernoulli(grey / 255): the mean residual is 0 within 4 standard errors.
    p = grey.test.x / 255
    residual = d.test.x - p
    assert abs(residual.sum()) < 4 * math.sqrt((p * (1 - p)).sum())
    assert residual.std() > 0.3


def test_resampled_static_mnist_is_binary_throughout_and_depends_on_the_seed(tmp_path):
    write_mnist(tmp_path)
    one, two = (load({"name": "static-mnist-resampled", "validation": 10, "seed": s}, tmp_path) for s in (0, 1))
    assert one.name == "static-mnist-resampled"
    assert not one.resampled
    assert set(np.unique(one.train.x)) == {0, 1}
    assert one.digest != two.digest


def test_limit_shortens_training_only(tmp_path):
    write_mnist(tmp_path)
    d = load({"name": "mnist", "validation": 10, "limit": 7}, tmp_path)
    assert (len(d.train), len(d.train.y), len(d.validation), len(d.test)) == (7, 7, 10, 10)


def test_validation_that_leaves_nothing_is_refused(tmp_path):
    write_mnist(tmp_path)
    with pytest.raises(UserError, match="validation: 30 leaves nothing of 30"):
        load({"name": "mnist", "validation": 30}, tmp_path)


@pytest.mark.parametrize(("ending", "newline"), [("", b"\n"), (".gz", b"\n"), ("", b"\r\n"), ("", b" \n")])
def test_static_mnist_text(tmp_path, ending, newline):
    images = np.random.RandomState(0).randint(0, 2, size=(3, 784)).astype(np.uint8)
    (tmp_path / "static-mnist").mkdir()
    for which in ("train", "valid", "test"):
        raw = amat(images).replace(b"\n", newline)
        path = tmp_path / "static-mnist" / f"binarized_mnist_{which}.amat{ending}"
        path.write_bytes(gzip.compress(raw) if ending else raw)
    d = load("static-mnist", tmp_path)
    np.testing.assert_array_equal(d.train.x, images.reshape(3, 1, 28, 28))
    assert d.train.x.dtype == np.uint8
    assert d.train.y is None


@pytest.mark.data
@pytest.mark.spec("RD44")
def test_static_mnist_is_the_official_one(real_data):
    d = load("static-mnist", real_data)
    assert [len(s) for s in (d.train, d.validation, d.test)] == [50_000, 10_000, 10_000]
    assert d.event_shape == (1, 28, 28)
    assert d.support is Support.BINARY
    for split, mean in ((d.train, 0.130562), (d.validation, 0.131127), (d.test, 0.132512)):
        assert set(np.unique(split.x)) == {0, 1}
        assert split.x.mean() == pytest.approx(mean, abs=1e-6)


@pytest.mark.data
@pytest.mark.spec("HV41", "IM26")
def test_mnist_splits_and_values(real_data):
    grey = load("mnist", real_data)
    assert [len(s) for s in (grey.train, grey.validation, grey.test)] == [50_000, 10_000, 10_000]
    assert (grey.train.x.min(), grey.train.x.max(), grey.scale) == (0, 255, 1 / 255)
    assert grey.train.x.mean() * grey.scale == pytest.approx(0.1307, abs=1e-3)
    np.testing.assert_array_equal(grey.train.y[:5], [5, 0, 4, 1, 9])
    rounded = load({"name": "mnist", "binarise": "round"}, real_data)
    np.testing.assert_array_equal(rounded.test.x, np.round(grey.test.x / 255))


@pytest.mark.data
def test_fashion_mnist_is_not_mnist(real_data):
    d = load("fashion-mnist", real_data)
    np.testing.assert_array_equal(np.bincount(d.test.y), [1000] * 10)
    assert d.label_names[9] == "Ankle boot"
    assert d.test.x.mean() / 255 > 0.25


def test_pixel_sampling_entropy_of_known_values():
    p = np.array([[0.0, 1.0, 0.5], [0.25, 0.25, 1.0]])
    h = [math.log(2), 2 * -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))]
    assert pixel_sampling_entropy(p) == pytest.approx(sum(h) / 2)
    levels = np.array([[0, 51, 255]], np.uint8)
    assert pixel_sampling_entropy(levels) == pytest.approx(-(0.2 * math.log(0.2) + 0.8 * math.log(0.8)))


@pytest.mark.data
@pytest.mark.spec("RD46")
def test_pixel_sampling_entropy_of_mnist(real_data):
    """The published value is about 22 nats; by its definition the official test images give twice that."""
    test = load("mnist", real_data).test.x
    p = np.bincount(test.ravel(), minlength=256)[1:255]
    grey = np.arange(1, 255) / 255
    by_histogram = -(p * (grey * np.log(grey) + (1 - grey) * np.log1p(-grey))).sum() / len(test)
    assert pixel_sampling_entropy(test) == pytest.approx(by_histogram)
    assert pixel_sampling_entropy(test) == pytest.approx(45.534, abs=1e-3)

"""Colour images: CIFAR-10, SVHN, CelebA and ColorMNIST."""

import gzip
import io
import lzma
import tarfile

import numpy as np
import pytest
from data_files import cifar_records, picture, write_mnist
from scipy.io import savemat

from ratelab.core.dataset import Support
from ratelab.core.errors import UserError
from ratelab.data import load

STREAM = np.random.RandomState(0)
CIFAR = {name: STREAM.randint(0, 256, (8, 3, 32, 32)).astype(np.uint8) for name in [*"12345", "test"]}
LABELS = np.arange(8).astype(np.uint8)


def cifar_file(name):
    return "test_batch.bin" if name == "test" else f"data_batch_{name}.bin"


def write_cifar(root, names, ending=""):
    pack = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}[ending]
    (root / "cifar-10").mkdir()
    for name in names:
        (root / "cifar-10" / (cifar_file(name) + ending)).write_bytes(pack(cifar_records(CIFAR[name], LABELS)))


def write_cifar_archive(root, names):
    (root / "cifar-10").mkdir()
    with tarfile.open(root / "cifar-10" / "cifar-10-binary.tar.gz", "w:gz") as tar:
        for name in names:
            raw = cifar_records(CIFAR[name], LABELS)
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{cifar_file(name)}")
            info.size = len(raw)
            tar.addfile(info, io.BytesIO(raw))


@pytest.mark.spec("HV40")
@pytest.mark.parametrize("form", ["", ".gz", ".xz", "archive"])
def test_cifar_in_all_its_forms(tmp_path, form):
    names = [*"12345", "test"]
    write_cifar_archive(tmp_path, reversed(names)) if form == "archive" else write_cifar(tmp_path, names, form)
    d = load({"name": "cifar-10", "validation": 6}, tmp_path)
    assert d.support is Support.LEVELS
    assert d.scale == pytest.approx(1 / 255)
    together = np.concatenate([CIFAR[k] for k in "12345"])
    np.testing.assert_array_equal(np.concatenate([d.train.x, d.validation.x]), together)
    np.testing.assert_array_equal(d.test.x, CIFAR["test"])
    np.testing.assert_array_equal(d.test.y, LABELS)
    assert len(d.validation) == 6
    assert d.note == ""


def test_cifar_with_a_held_out_batch_says_so(tmp_path):
    write_cifar(tmp_path, "125", ".xz")
    d = load({"name": "cifar-10", "batches": [1, 2], "test": "held-out", "validation": 4}, tmp_path)
    np.testing.assert_array_equal(d.test.x, CIFAR["5"])
    assert "held-out training batch" in d.note
    assert "not on the CIFAR-10 test set" in d.note
    assert "batches 1, 2 only" in d.note


def test_cifar_missing_batches_are_named(tmp_path):
    write_cifar(tmp_path, "125", ".xz")
    with pytest.raises(UserError, match=r"no file data_batch_3.bin .*batches: \[1, 2\] and test: held-out"):
        load("cifar-10", tmp_path)
    with pytest.raises(UserError, match="batch 5 while it serves as test"):
        load({"name": "cifar-10", "batches": [1, 5], "test": "held-out"}, tmp_path)


def test_cifar_archive_without_a_batch(tmp_path):
    write_cifar_archive(tmp_path, "12345")
    with pytest.raises(UserError, match=r"has no member test_batch\.bin"):
        load({"name": "cifar-10", "validation": 4}, tmp_path)


@pytest.mark.data
@pytest.mark.spec("HV40")
def test_cifar_real_batches(real_data):
    d = load({"name": "cifar-10", "batches": [1], "test": "held-out"}, real_data)
    assert (len(d.train), len(d.validation), len(d.test)) == (5_000, 5_000, 10_000)
    assert d.event_shape == (3, 32, 32)
    # The channel means of CIFAR-10 are 0.491, 0.482, 0.447; a batch of 10 000 images lies within 0.01.
    np.testing.assert_allclose(d.test.x.mean(axis=(0, 2, 3)) / 255, [0.491, 0.482, 0.447], atol=0.01)
    assert d.label_names[d.train.y[0]] == "frog"


def write_svhn(root, train, test):
    (root / "svhn").mkdir()
    images = {}
    for which, n in (("train", train), ("test", test)):
        images[which] = STREAM.randint(0, 256, (32, 32, 3, n)).astype(np.uint8)
        savemat(
            root / "svhn" / f"{which}_32x32.mat", {"X": images[which], "y": (np.arange(n) % 10 + 1)[:, None].astype(np.uint8)}
        )
    return images


@pytest.mark.spec("HV39")
def test_svhn(tmp_path):
    images = write_svhn(tmp_path, 25, 12)
    d = load({"name": "svhn", "validation": 5}, tmp_path)
    assert (d.support, d.scale) == (Support.LEVELS, pytest.approx(1 / 255))
    assert [len(s) for s in (d.train, d.validation, d.test)] == [20, 5, 12]
    np.testing.assert_array_equal(d.test.x[7], images["test"][..., 7].transpose(2, 0, 1))
    np.testing.assert_array_equal(d.test.y, [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2])
    assert "not the official files: 25 + 12 images instead of 73257 + 26032" in d.note


def test_svhn_of_another_shape(tmp_path):
    write_svhn(tmp_path, 5, 5)
    savemat(tmp_path / "svhn" / "test_32x32.mat", {"X": np.zeros((5, 32, 32, 3), np.uint8), "y": np.ones((5, 1))})
    with pytest.raises(UserError, match="expected 32x32x3xN bytes"):
        load({"name": "svhn", "validation": 2}, tmp_path)


def write_celeba(root, pixels):
    folder = root / "celeba"
    lines = []
    for k in range(6):
        picture(folder / "img_align_celeba" / f"{k:06d}.jpg", pixels if k else np.zeros_like(pixels), quality=95)
        lines.append(f"{k:06d}.jpg {min(k // 3, 1) if k < 5 else 2}\n")
    (folder / "list_eval_partition.txt").write_text("".join(lines))


def target_board():
    """178x218 with rings of known size: white within the central 108x108, grey within 140x140, black outside."""
    pixels = np.zeros((218, 178, 3), np.uint8)
    pixels[39:179, 19:159] = 128
    pixels[55:163, 35:143] = 255
    return pixels


@pytest.mark.spec("DM48")
@pytest.mark.parametrize(("crop", "corner", "white_share"), [("closecrop", 128, (108 / 140) ** 2), ("centre", 255, 1.0)])
def test_celeba_crops_the_centre(tmp_path, crop, corner, white_share):
    write_celeba(tmp_path, target_board())
    d = load({"name": "celeba", "crop": crop}, tmp_path)
    assert d.event_shape == (3, 64, 64)
    assert (d.support, d.scale) == (Support.LEVELS, pytest.approx(1 / 255))
    assert [len(s) for s in (d.train, d.validation, d.test)] == [3, 2, 1]
    assert d.train.x[0].max() < 5
    face = d.test.x[0, 0].astype(int)
    assert abs(face[1, 1] - corner) < 12
    assert (face > 192).mean() == pytest.approx(white_share, abs=0.03)
    assert "6 of the 202599 images" in d.note


@pytest.mark.spec("DM48")
def test_celeba_resizecrop_keeps_the_whole_width(tmp_path):
    write_celeba(tmp_path, target_board())
    face = load({"name": "celeba", "crop": "resizecrop"}, tmp_path).test.x[0, 0]
    inside = np.flatnonzero(face[32] > 64)  # grey ring: columns 19..158 of 178
    assert abs(inside[0] - 19 * 64 / 178) <= 1
    assert abs(inside[-1] + 1 - 159 * 64 / 178) <= 1
    inside = np.flatnonzero(face[:, 32] > 64)  # rows 39..178 of 218 become 78 rows, the first 7 are cut
    assert abs(inside[0] - (39 * 78 / 218 - 7)) <= 1


def test_celeba_keeps_what_it_decoded(tmp_path):
    write_celeba(tmp_path, target_board())
    d = load("celeba", tmp_path)
    for path in (tmp_path / "celeba" / "img_align_celeba").iterdir():
        path.unlink()
    assert load("celeba", tmp_path).digest == d.digest
    with pytest.raises(UserError, match=r"no picture 000000\.jpg"):
        load({"name": "celeba", "crop": "centre"}, tmp_path)
    assert not list((tmp_path / "celeba").glob(".*"))


def test_celeba_absent_says_what_to_put_where(tmp_path):
    with pytest.raises(UserError, match=r"put img_align_celeba and list_eval_partition.txt into .*celeba") as error:
        load("celeba", tmp_path)
    assert "fetch" not in str(error.value)


@pytest.mark.spec("DM47")
def test_color_mnist_stacked(tmp_path):
    write_mnist(tmp_path, train=50, test=20)
    grey = load({"name": "mnist", "validation": 20}, tmp_path)
    d, again, other = (load({"name": "color-mnist", "validation": 20, "seed": s}, tmp_path) for s in (0, 0, 1))
    assert d.event_shape == (3, 28, 28)
    assert d.digest == again.digest != other.digest
    assert len(d.label_names) == 1000
    rows = {image.tobytes(): label for image, label in zip(grey.train.x[:, 0], grey.train.y, strict=True)}
    for image, label in zip(d.train.x, d.train.y, strict=True):
        red, green, blue = (rows[channel.tobytes()] for channel in image)  # a KeyError is a digit of another split
        assert label == 100 * red + 10 * green + blue
    assert len(np.unique(d.train.y)) > 20


@pytest.mark.spec("DM47")
def test_color_mnist_tinted(tmp_path):
    write_mnist(tmp_path, train=50, test=20)
    grey = load({"name": "mnist", "validation": 20}, tmp_path)
    node = {"name": "color-mnist", "mode": "tinted", "validation": 20}
    d = load(node, tmp_path)
    np.testing.assert_array_equal(d.train.y, grey.train.y)
    np.testing.assert_array_equal(d.train.x.max(axis=1, keepdims=True), grey.train.x)
    # One colour for a whole digit: each channel is the grey image times a constant, up to rounding.
    factor = d.train.x.astype(float).sum(axis=(2, 3)) / grey.train.x.astype(float).sum(axis=(2, 3))
    assert np.abs(d.train.x - factor[:, :, None, None] * grey.train.x).max() < 1
    assert factor[:, 0].std() > 0.1
    assert load(node, tmp_path).digest == d.digest

"""Files that are not what their names say: one line each, naming the file and what is wrong."""

import gzip
import lzma

import numpy as np
import pytest
from data_files import amat, cifar_records, write_idx, write_mnist
from scipy.io import savemat

from ratelab.core.errors import UserError
from ratelab.data import load

SMALL = {"validation": 2}


def refused(node, root, match):
    with pytest.raises(UserError, match=match) as error:
        load(node, root)
    assert "\n" not in str(error.value)
    assert str(root) in str(error.value)


@pytest.fixture
def mnist(tmp_path):
    write_mnist(tmp_path, ending="")
    return tmp_path


def images(root, ending=""):
    return root / "mnist" / f"train-images-idx3-ubyte{ending}"


def test_truncated_gzip(tmp_path):
    write_mnist(tmp_path)
    path = images(tmp_path, ".gz")
    path.write_bytes(path.read_bytes()[:-3000])
    refused("mnist", tmp_path, r"train-images-idx3-ubyte\.gz: cannot be decompressed: .*end-of-stream")


def test_damaged_gzip(tmp_path):
    write_mnist(tmp_path)
    path = images(tmp_path, ".gz")
    raw = bytearray(path.read_bytes())
    raw[2000:2100] = bytes(100)
    path.write_bytes(raw)
    refused("mnist", tmp_path, "cannot be decompressed")
    path.write_bytes(b"<html>404</html>")
    refused("mnist", tmp_path, "cannot be decompressed: Not a gzipped file")


def test_truncated_xz(tmp_path):
    (tmp_path / "cifar-10").mkdir()
    raw = lzma.compress(np.random.RandomState(0).bytes(3073 * 4))
    for batch, content in ((1, raw[:-50]), (5, raw)):
        (tmp_path / "cifar-10" / f"data_batch_{batch}.bin.xz").write_bytes(content)
    refused(
        {"name": "cifar-10", "batches": [1], "test": "held-out", **SMALL},
        tmp_path,
        r"data_batch_1\.bin\.xz: cannot be decompressed",
    )


def test_wrong_magic(mnist):
    images(mnist).write_bytes(b"<html>not found</html>")
    refused("mnist", mnist, r"is not an IDX file of bytes with 3 dimensions \(it starts with 3c68746d\)")
    images(mnist).write_bytes(b"")
    refused("mnist", mnist, "is not an IDX file")


@pytest.mark.parametrize("change", [-1, 1])
def test_wrong_length(mnist, change):
    raw = images(mnist).read_bytes()
    images(mnist).write_bytes(raw[:change] if change < 0 else raw + b"x")
    refused("mnist", mnist, rf"holds {30 * 784 + change} bytes of data, its header promises {30 * 784}")


def test_a_header_that_promises_the_moon(mnist):
    images(mnist).write_bytes(bytes((0, 0, 8, 3)) + b"\xff" * 12 + bytes(100))
    refused("mnist", mnist, "its header promises 79228162458924105385300197375")


def test_other_image_size_and_labels(mnist):
    good = images(mnist).read_bytes()
    write_idx(images(mnist), np.zeros((30, 32, 32), np.uint8))
    refused("mnist", mnist, "images of 32x32 pixels, mnist has 28x28")
    images(mnist).write_bytes(good)
    labels = mnist / "mnist" / "train-labels-idx1-ubyte"
    write_idx(labels, np.zeros(29, np.uint8))
    refused({"name": "mnist", **SMALL}, mnist, "30 examples but 29 labels")
    write_idx(labels, np.full(30, 10, np.uint8))
    refused({"name": "mnist", **SMALL}, mnist, "labels run from 10 to 10, not from 0 to 9")


def test_no_images_at_all(mnist):
    for which in ("images-idx3", "labels-idx1"):
        write_idx(mnist / "mnist" / f"train-{which}-ubyte", np.zeros((0, 28, 28) if "images" in which else 0, np.uint8))
    refused("mnist", mnist, "there are no values")


def test_missing_file_says_where_and_what_to_do(mnist):
    images(mnist).unlink()
    refused(
        "mnist",
        mnist,
        r"no file train-images-idx3-ubyte \(nor .*\.gz, .*\.xz\) in .*/mnist; get it with `ratelab data fetch mnist`",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw[:-2] + b"2\n", "line 3 holds something else than 0 and 1"),
        (lambda raw: raw[:1568] + raw[1570:], "line 2 has 783 values, not 784"),
        (lambda raw: raw.replace(b" ", b","), "line 1 has 1 values"),
        (lambda raw: raw[:-700], "line 3 has 434 values"),
        (lambda raw: b"", "line 1|0 values|has 0"),
        (lambda raw: b"\x00" * 1568, "line 1"),
    ],
)
def test_static_texts(tmp_path, change, message):
    raw = amat(np.random.RandomState(0).randint(0, 2, size=(3, 784)).astype(np.uint8))
    (tmp_path / "static-mnist").mkdir()
    for which in ("train", "valid", "test"):
        (tmp_path / "static-mnist" / f"binarized_mnist_{which}.amat.gz").write_bytes(gzip.compress(raw))
    assert len(load("static-mnist", tmp_path).train) == 3
    (tmp_path / "static-mnist" / "binarized_mnist_valid.amat.gz").write_bytes(gzip.compress(change(raw)))
    refused("static-mnist", tmp_path, rf"binarized_mnist_valid\.amat\.gz: .*({message})")


def test_static_labels_of_another_length(tmp_path):
    raw = amat(np.zeros((3, 784), np.uint8))
    (tmp_path / "static-mnist").mkdir()
    for which in ("train", "valid", "test"):
        (tmp_path / "static-mnist" / f"binarized_mnist_{which}.amat").write_bytes(raw)
    labels = {f"{which}_labels": np.zeros(3, np.uint8) for which in ("train", "valid", "test")}
    np.savez(tmp_path / "static-mnist" / "recovered_labels.npz", **labels)
    assert load("static-mnist", tmp_path).test.y is not None
    np.savez(tmp_path / "static-mnist" / "recovered_labels.npz", **labels | {"test_labels": np.zeros(2, np.uint8)})
    refused("static-mnist", tmp_path, "3 examples but 2 labels")


def test_cifar_records(tmp_path):
    (tmp_path / "cifar-10").mkdir()
    records = cifar_records(np.zeros((4, 3, 32, 32), np.uint8), np.array([0, 1, 2, 10], np.uint8))
    for name, raw in (("data_batch_1.bin", records), ("test_batch.bin", records[:-1])):
        (tmp_path / "cifar-10" / name).write_bytes(raw)
    node = {"name": "cifar-10", "batches": [1], **SMALL}
    refused(node, tmp_path, "labels run from 0 to 10, not from 0 to 9")
    (tmp_path / "cifar-10" / "data_batch_1.bin").write_bytes(records[: 2 * 3073])
    refused(node, tmp_path, r"test_batch\.bin: holds 12291 bytes, not a whole number of records of 3073")


def test_a_broken_archive(tmp_path):
    (tmp_path / "cifar-10").mkdir()
    (tmp_path / "cifar-10" / "cifar-10-binary.tar.gz").write_bytes(gzip.compress(b"nothing")[:-4])
    refused("cifar-10", tmp_path, "cannot be read as an archive")


@pytest.mark.parametrize("content", [b"", b"hello", b"MATLAB 5.0 MAT-file" + bytes(200)])
def test_broken_mat(tmp_path, content):
    (tmp_path / "svhn").mkdir()
    (tmp_path / "svhn" / "train_32x32.mat").write_bytes(content)
    refused("svhn", tmp_path, r"train_32x32\.mat: (is not a MATLAB file|has no array 'X')")


def test_chardata_outside_the_unit_interval(tmp_path):
    (tmp_path / "omniglot").mkdir()
    data = np.zeros((784, 5))
    data[30, 2] = 255.0  # column 2; row 30 is pixel (column 1, row 2) in Fortran order
    arrays = {"data": data, "testdata": data, "target": np.eye(50)[:, :5], "testtarget": np.eye(50)[:, :5]}
    savemat(tmp_path / "omniglot" / "chardata.mat", arrays)
    refused({"name": "omniglot", **SMALL}, tmp_path, r"values run from 0 to 255, 'unit' data .*at \[2, 0, 2, 1\]")


def test_partition_of_celeba(tmp_path):
    (tmp_path / "celeba").mkdir()
    listed = tmp_path / "celeba" / "list_eval_partition.txt"
    listed.write_text("000001.jpg 0\n000002.jpg three\n")
    refused("celeba", tmp_path, "line 2 is not 'PICTURE 0|1|2'")
    listed.write_text("000001.jpg 0\n000002.jpg 1\n")
    refused("celeba", tmp_path, "names no picture for test")

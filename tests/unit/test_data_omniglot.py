"""Omniglot: the orientation and splits of both versions, and the few-label split."""

import numpy as np
import pytest
from scipy.io import savemat

from ratelab.core.dataset import Support
from ratelab.core.errors import UserError
from ratelab.data import load

N_TRAIN, N_TEST = 24_345, 8_070


def chardata(path, n_train, n_test):
    """Files as Burda et al. made them: column k is image k in Fortran order; each shows an upright L, its row in one pixel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    upright = np.zeros((28, 28))
    upright[4:24, 6] = 1.0  # a long stroke down ...
    upright[23, 6:14] = 0.75  # ... and a short one to the right at its foot
    columns = {
        key: np.repeat(upright.flatten(order="F")[:, None], n, axis=1) for key, n in (("data", n_train), ("testdata", n_test))
    }
    targets = {key: np.eye(50)[:, np.arange(n) % 50] for key, n in (("target", n_train), ("testtarget", n_test))}
    columns["data"][0] = np.linspace(0, 0.49, n_train)
    savemat(path, columns | targets, do_compression=True)
    return upright


@pytest.mark.spec("RD45")
def test_chardata_is_upright_and_thresholded(tmp_path):
    upright = chardata(tmp_path / "omniglot" / "chardata.mat", 60, 20)
    d = load({"name": "omniglot", "validation": 15}, tmp_path)
    assert d.support is Support.BINARY
    assert [len(s) for s in (d.train, d.validation, d.test)] == [45, 15, 20]
    np.testing.assert_array_equal(d.test.x[3, 0], upright >= 0.5)
    np.testing.assert_array_equal(d.test.y, np.arange(20))


@pytest.mark.spec("RD45")
def test_chardata_of_the_official_size_splits_as_published(tmp_path):
    chardata(tmp_path / "omniglot" / "chardata.mat", N_TRAIN, N_TEST)
    d = load("omniglot", tmp_path)
    assert [len(s) for s in (d.train, d.validation, d.test)] == [N_TRAIN - 1345, 1345, N_TEST]


def test_chardata_validation_comes_from_shuffled_training_images(tmp_path):
    chardata(tmp_path / "omniglot" / "chardata.mat", 60, 20)
    d = load({"name": "omniglot", "validation": 15, "binarise": "none"}, tmp_path)
    assert d.support is Support.UNIT
    tags = np.concatenate([d.train.x[:, 0, 0, 0], d.validation.x[:, 0, 0, 0]])
    assert len(np.unique(tags)) == 60  # no drawing twice, none lost
    assert (np.diff(d.validation.x[:, 0, 0, 0]) < 0).any()
    assert d.train.y[0] == np.rint(d.train.x[0, 0, 0, 0] / 0.49 * 59) % 50  # labels moved along


def test_chardata_dynamic(tmp_path):
    chardata(tmp_path / "omniglot" / "chardata.mat", 60, 20)
    d = load({"name": "omniglot", "validation": 15, "binarise": "dynamic"}, tmp_path)
    assert d.resampled
    assert d.train.x.dtype == np.uint8
    assert set(np.unique(d.train.x[:, 0, 4:, :])) == {0, 191, 255}  # 0.75 is 191 of 255
    assert set(np.unique(d.test.x)) == {0, 1}


def test_chardata_of_another_shape_is_refused(tmp_path):
    path = tmp_path / "omniglot" / "chardata.mat"
    path.parent.mkdir()
    wrong = {
        "data": np.zeros((783, 5)),
        "testdata": np.zeros((784, 5)),
        "target": np.zeros((50, 5)),
        "testtarget": np.zeros((50, 5)),
    }
    savemat(path, wrong)
    with pytest.raises(UserError, match=r"shape \(783, 5\), expected 784 x n"):
        load("omniglot", tmp_path)
    savemat(path, {"data": np.zeros((784, 5))})
    with pytest.raises(UserError, match="no array 'testdata'"):
        load("omniglot", tmp_path)


def omniglot_28(path, characters=12, drawers=20):
    """Every drawing is its own bit pattern in the first row, so that its rotations can be told from other drawings."""
    path.parent.mkdir(parents=True, exist_ok=True)
    n = characters * drawers
    images = np.zeros((n, 28, 28), np.uint8)
    images[:, 0, :12] = 255 * (np.arange(n)[:, None] >> np.arange(12) & 1)
    images[:, 0, 13] = 255
    images[:, 1, 13] = 255  # breaks every symmetry
    rows = {"images": images, "character": np.arange(n) // drawers + 1, "drawer": np.arange(n) % drawers + 1}
    arrays = {f"{which}_{key}": value for which in ("train", "test") for key, value in rows.items()}
    zeros = np.zeros(n, np.uint8)
    np.savez(path, train_alphabet=zeros, test_alphabet=zeros + 1, alphabet_names=np.array(["Latin", "Angelic"]), **arrays)


def canonical(image):
    """The same bytes for all rotations of one drawing."""
    return min(np.rot90(image[0], k).tobytes() for k in range(4))


def number(image):
    """The row of the drawing in the file, read off its bit pattern in whichever rotation it stands."""
    upright = next(turned for k in range(4) if (turned := np.rot90(image[0], k))[0, 13] and turned[1, 13])
    return int((upright[0, :12] > 0) @ (1 << np.arange(12)))


@pytest.mark.spec("IM27")
def test_omniglot5_counts_and_no_drawing_on_both_sides(tmp_path):
    omniglot_28(tmp_path / "omniglot" / "omniglot_28.npz")
    d = load("omniglot-5", tmp_path)
    assert (len(d.train), len(d.test), len(d.validation)) == (300, 100, 100)
    np.testing.assert_array_equal(np.bincount(d.train.y), [60] * 5)
    np.testing.assert_array_equal(np.bincount(d.test.y), [20] * 5)
    drawings = [{canonical(image) for image in split.x} for split in (d.train, d.validation, d.test)]
    assert [len(s) for s in drawings] == [75, 25, 25]
    assert not drawings[0] & drawings[2]
    assert not drawings[1] & (drawings[0] | drawings[2])
    assert load("omniglot-5", tmp_path).digest == d.digest
    for split in (d.train, d.test):
        assert [number(image) // 20 for image in split.x] == list(split.y)


def test_omniglot5_names_the_alphabets_it_knows(tmp_path):
    omniglot_28(tmp_path / "omniglot-28" / "omniglot_28.npz")
    with pytest.raises(UserError, match=r"no alphabet 'Angelik' .*did you mean 'Angelic'"):
        load({"name": "omniglot-5", "alphabet": "Angelik"}, tmp_path)
    with pytest.raises(UserError, match="no alphabet 'Latin' in the evaluation set"):
        load({"name": "omniglot-5", "alphabet": "Latin"}, tmp_path)


def test_omniglot_28_says_that_it_is_not_comparable(tmp_path):
    omniglot_28(tmp_path / "omniglot-28" / "omniglot_28.npz")
    d = load({"name": "omniglot-28", "validation": 40, "binarise": "none"}, tmp_path)
    assert (len(d.train), len(d.validation), len(d.test)) == (200, 40, 240)
    assert d.support is Support.LEVELS
    assert "not comparable" in d.note


@pytest.mark.data
@pytest.mark.spec("IM27")
def test_omniglot5_of_real_drawings(real_data):
    d = load("omniglot-5", real_data)
    assert (len(d.train), len(d.test)) == (300, 100)
    assert not {canonical(x) for x in d.train.x} & {canonical(x) for x in d.test.x}
    assert 0.02 < d.train.x.mean() < 0.2

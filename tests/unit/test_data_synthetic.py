"""Data that needs no file and no network, and laws of every entry of the table."""

import socket

import numpy as np
import pytest

from ratelab.core.dataset import Support
from ratelab.core.errors import UserError
from ratelab.data import DATASETS, load

OFFLINE = [
    "digits",
    {"name": "digits", "binarise": "none"},
    "strokes",
    {"name": "strokes", "binarise": "dynamic", "n": 100},
    "linear-gaussian",
    {"name": "color-mnist", "digits": "embedded"},
    {"name": "color-mnist", "digits": "embedded", "mode": "tinted"},
]


@pytest.mark.spec("GE04")
@pytest.mark.parametrize("node", OFFLINE, ids=str)
def test_stand_ins_need_no_network_and_no_files(node, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "socket", refuse)
    d = load(node, tmp_path / "nowhere")
    assert d.digest == load(node, tmp_path / "nowhere").digest
    values = [s.x.astype(np.float64) * d.scale for s in ((d.train,) if not d.resampled else ()) + (d.validation, d.test)]
    if d.support is not Support.REAL:
        assert min(v.min() for v in values) == 0
        assert max(v.max() for v in values) == pytest.approx(1)
    if d.support is Support.BINARY and not d.resampled:
        assert all(set(np.unique(v)) == {0, 1} for v in values)


def test_digits_splits_are_the_whole_set():
    from sklearn.datasets import load_digits

    d = load({"name": "digits", "binarise": "none"})
    assert [len(s) for s in (d.train, d.validation, d.test)] == [1297, 250, 250]
    together = np.concatenate([s.x for s in (d.train, d.validation, d.test)]).reshape(1797, -1) * 16
    official = load_digits()
    np.testing.assert_array_equal(
        np.sort(together.view("V256").ravel()), np.sort(official.data.astype(np.float32).view("V256").ravel())
    )
    binary = load("digits")
    np.testing.assert_array_equal(binary.train.x, d.train.x * 16 >= 8)
    assert all(len(np.unique(s.y)) == 10 for s in (d.train, d.validation, d.test))


def test_linear_gaussian_has_the_stated_variances():
    d = load({"name": "linear-gaussian", "eigenvalues": [9.0, 1, 0.04], "n": 20_000, "seed": 3})
    variance = d.train.x.var(axis=0)
    truth = np.array([9, 1, 0.04])
    assert (np.abs(variance / truth - 1) < 4 * np.sqrt(2 / 20_000)).all()  # the s.e. of a Gaussian's variance
    correlation = np.corrcoef(d.train.x.T) - np.eye(3)
    assert np.abs(correlation).max() < 4 / np.sqrt(20_000)
    assert d.train.x.dtype == np.float32
    assert (len(d.validation), len(d.test)) == (4000, 4000)


def test_strokes_of_one_character_resemble_each_other():
    d = load({"name": "strokes", "n": 500, "binarise": "none"})
    means = np.stack([d.train.x[d.train.y == k].mean(axis=0) for k in range(10)])
    nearest = ((d.test.x[:, None] - means) ** 2).sum(axis=(2, 3, 4)).argmin(axis=1)
    assert (nearest == d.test.y).mean() > 0.6  # chance is 0.1
    assert 0.02 < d.train.x.mean() / 255 < 0.4


@pytest.mark.parametrize("name", list(DATASETS))
def test_every_entry_refuses_an_unknown_option(name):
    required = {"path": "x.npy"} if "path" in DATASETS[name].schema.model_fields else {}
    assert DATASETS.resolve({"name": name, **required}, "data")["limit"] is None
    with pytest.raises(UserError, match="unknown key 'limti'; did you mean 'limit'"):
        DATASETS.resolve({"name": name, "limti": 3, **required}, "data")
    with pytest.raises(UserError, match=r"data\.limit"):
        DATASETS.resolve({"name": name, "limit": 0, **required}, "data")


@pytest.mark.parametrize("name", [n for n in DATASETS if "path" not in DATASETS[n].schema.model_fields])
def test_every_entry_loads_or_says_in_one_line_what_to_do(name, tmp_path):
    try:
        dataset = load(name, tmp_path)
    except UserError as error:
        message = str(error)
        assert "\n" not in message
        assert str(tmp_path) in message
        assert "ratelab data fetch" in message or "put " in message
    else:
        assert dataset.name == name
        assert dataset.train.x.flags.writeable


def test_an_unknown_name_names_the_nearest():
    with pytest.raises(UserError, match="unknown data set 'mnsit'; did you mean 'mnist'"):
        load("mnsit")


def test_the_environment_names_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RATELAB_DATA", str(tmp_path / "elsewhere"))
    with pytest.raises(UserError, match="elsewhere"):
        load("mnist")


def test_held_out_examples_are_taken_at_equal_distances_and_training_ones_stay() -> None:
    whole = DATASETS.build(DATASETS.resolve("digits", "data")).load()
    few = DATASETS.build(DATASETS.resolve({"name": "digits", "held_out": 10}, "data")).load()
    assert len(few.train) == len(whole.train)
    assert (len(few.validation), len(few.test)) == (10, 10)
    for kept, of in ((few.validation, whole.validation), (few.test, whole.test)):
        where = np.linspace(0, len(of) - 1, 10).round().astype(int)
        assert np.array_equal(kept.x, of.x[where])
        assert np.array_equal(kept.y, of.y[where])
    assert len(DATASETS.build(DATASETS.resolve({"name": "digits", "held_out": 9999}, "data")).load().test) == len(whole.test)
    with pytest.raises(UserError, match="held_out"):
        DATASETS.resolve({"name": "digits", "held_out": 0}, "data")

"""A user's own arrays and folders of pictures."""

import numpy as np
import pytest
from data_files import picture

from ratelab.core.dataset import Support
from ratelab.core.errors import UserError
from ratelab.data import load

STREAM = np.random.RandomState(0)


def own(tmp_path, array, **options):
    """Load ``array`` (one array as .npy, a dict of arrays as .npz)."""
    path = tmp_path / ("own.npz" if isinstance(array, dict) else "own.npy")
    np.savez(path, **array) if isinstance(array, dict) else np.save(path, array)
    return load({"name": "array", "path": str(path), **options})


@pytest.mark.parametrize(
    ("shape", "options", "event"),
    [
        ((20, 5), {}, (5,)),
        ((20, 6, 4), {}, (1, 6, 4)),
        ((20, 3, 6, 4), {}, (3, 6, 4)),
        ((20, 6, 4, 3), {}, (3, 6, 4)),
        ((20, 6, 4, 1), {}, (1, 6, 4)),
        ((20, 7, 6, 4), {"layout": "NCHW"}, (7, 6, 4)),
        ((20, 3, 6, 3), {"layout": "NHWC"}, (3, 3, 6)),
    ],
)
def test_layouts(tmp_path, shape, options, event):
    x = STREAM.standard_normal(shape)
    d = own(tmp_path, x, **options)
    assert d.event_shape == event
    assert d.support is Support.REAL
    assert [len(s) for s in (d.train, d.validation, d.test)] == [16, 2, 2]
    rows = np.concatenate([s.x for s in (d.train, d.validation, d.test)]).reshape(20, -1)
    last = len(shape) == 4 and event[0] == shape[3] and (shape[1] != event[0] or options)
    expected = (x.transpose(0, 3, 1, 2) if last else x).reshape(20, -1).astype(np.float32)
    assert {row.tobytes() for row in rows} == {row.tobytes() for row in np.ascontiguousarray(expected)}


@pytest.mark.parametrize("shape", [(20, 3, 6, 3), (20, 5, 6, 4), (20,), (5, 1, 2, 3, 4)])
def test_layouts_that_cannot_be_told(tmp_path, shape):
    with pytest.raises(UserError, match=r"layout|neither a table"):
        own(tmp_path, np.zeros(shape))


def test_a_layout_that_does_not_fit(tmp_path):
    with pytest.raises(UserError, match="layout HW needs 3 axes"):
        own(tmp_path, np.zeros((20, 4)), layout="HW")


@pytest.mark.parametrize(
    ("values", "support", "kind"),
    [
        (np.array([0, 1], np.int64), Support.BINARY, np.uint8),
        (np.array([False, True]), Support.BINARY, np.uint8),
        (np.array([0.0, 1.0]), Support.BINARY, np.uint8),
        (np.array([0.0, 0.3]), Support.UNIT, np.float32),
        (np.array([0, 200], np.uint8), Support.LEVELS, np.uint8),
        (np.array([0, 200], np.int64), Support.REAL, np.float32),
        (np.array([-1.0, 0.5], np.float16), Support.REAL, np.float32),
    ],
)
def test_supports(tmp_path, values, support, kind):
    d = own(tmp_path, np.resize(values, (20, 4)))
    assert d.support is support
    assert d.train.x.dtype == kind


def test_a_declared_support(tmp_path):
    x = np.resize(np.array([0.0, 1.0]), (20, 4))
    assert own(tmp_path, x, support="unit").support is Support.UNIT
    assert own(tmp_path, x * 255, support="levels").train.x.max() == 255


@pytest.mark.parametrize(
    ("support", "message"), [("unit", r"\[0, 1\] .*at \[3, 2\]"), ("binary", r"from -0\.5 to 7"), ("levels", "255")]
)
def test_values_outside_the_declared_support(tmp_path, support, message):
    x = np.zeros((20, 4))
    x[3, 2], x[9, 0] = 7, -0.5
    with pytest.raises(UserError, match=rf"values run from -0\.5 to 7, '{support}' data"):
        own(tmp_path, x, support=support)
    if support == "unit":
        x[9, 0] = 0
    with pytest.raises(UserError, match=message):
        own(tmp_path, x, support=support)


def test_fractions_are_not_levels(tmp_path):
    x = np.zeros((20, 4))
    x[2, 1] = 0.5
    with pytest.raises(UserError, match=r"whole numbers, but the value at .* is not"):
        own(tmp_path, x, support="binary")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(tmp_path, bad):
    x = np.zeros((20, 4))
    x[5, 3] = bad
    with pytest.raises(UserError, match=r"1 values are NaN or infinite \(first at \[5, 3\]\)"):
        own(tmp_path, x)


@pytest.mark.parametrize("x", [np.array([["a", "b"]]), np.zeros((20, 4), complex), np.zeros((3, 2), "datetime64[s]")])
def test_values_that_are_no_numbers(tmp_path, x):
    with pytest.raises(UserError, match="are no real numbers"):
        own(tmp_path, x)


@pytest.mark.parametrize("shape", [(0, 4), (20, 0)])
def test_empty_arrays(tmp_path, shape):
    with pytest.raises(UserError, match="there are no values"):
        own(tmp_path, np.zeros(shape))


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_rows_to_split(tmp_path, n):
    with pytest.raises(UserError, match=rf"{n} examples cannot give 1 for validation, 1 for test and any for training"):
        own(tmp_path, np.zeros((n, 4)))
    assert [len(s) for s in (lambda d: (d.train, d.validation, d.test))(own(tmp_path, np.zeros((3, 4))))] == [1, 1, 1]


def test_object_arrays_are_never_unpickled(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="cannot be read as plain arrays"):
        load({"name": "array", "path": str(tmp_path / "objects.npy")})


def test_npz_with_labels(tmp_path):
    x, y = np.arange(40.0).reshape(20, 2), np.arange(20)
    d = own(tmp_path, {"x": x, "y": y, "other": y})
    np.testing.assert_array_equal(d.train.x[:, 0], 2 * d.train.y)
    assert own(tmp_path, {"images": x}).train.y is None
    assert own(tmp_path, {"images": x, "group": y}, key="images", labels="group").train.y is not None
    with pytest.raises(UserError, match=r"no array 'x' \(there are: a, b\); name the one to use with key"):
        own(tmp_path, {"a": x, "b": x})
    with pytest.raises(UserError, match="no array 'z' for the labels"):
        own(tmp_path, {"x": x}, labels="z")
    with pytest.raises(UserError, match="20 examples but 19 labels"):
        own(tmp_path, {"x": x, "y": y[:19]})
    with pytest.raises(UserError, match="one whole number per example"):
        own(tmp_path, {"x": x, "y": x[:, 0]})


def test_npz_with_splits_keeps_them(tmp_path):
    arrays = {which: np.full((n, 2), n / 100) for which, n in (("train", 7), ("validation", 3), ("test", 5))}
    d = own(tmp_path, arrays | {"test_y": np.arange(5)})
    assert [len(s) for s in (d.train, d.validation, d.test)] == [7, 3, 5]
    assert d.support is Support.UNIT
    np.testing.assert_array_equal(d.test.y, np.arange(5))
    assert d.train.y is None
    arrays["test"] = np.zeros((5, 3))
    with pytest.raises(UserError, match="the test split has examples of shape"):
        own(tmp_path, arrays)


def test_one_seed_one_split(tmp_path):
    x = np.arange(40.0).reshape(20, 2)
    digests = [own(tmp_path, x, seed=seed).digest for seed in (0, 0, 1)]
    assert digests[0] == digests[1] != digests[2]
    d = own(tmp_path, x, validation=0.25, test=0.5)
    assert [len(s) for s in (d.train, d.validation, d.test)] == [5, 5, 10]


@pytest.mark.parametrize("content", [b"", b"hello", b"\x93NUMPY\x01\x00broken", b"PK\x03\x04broken"])
def test_files_that_are_no_arrays(tmp_path, content):
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.npy: (is neither|cannot be read)") as error:
        load({"name": "array", "path": str(tmp_path / "x.npy")})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_truncated_arrays(tmp_path, ending):
    path = tmp_path / f"x{ending}"
    np.save(path, np.zeros((50, 50))) if ending == ".npy" else np.savez(path, x=np.zeros((50, 50)))
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(UserError, match="cannot be read as plain arrays"):
        load({"name": "array", "path": str(path)})


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"no file '/.*gone\.npy'; give an \.npy or \.npz file"):
        load({"name": "array", "path": "gone.npy"})
    with pytest.raises(UserError, match="is no folder"):
        load({"name": "folder", "path": "gone"})


def pictures(root, classes, size=(9, 7)):
    for number, name in enumerate(classes):
        for k in range(6):
            pixels = np.full((*size, 3), 0, np.uint8)
            pixels[..., number % 3] = 40 * k + 10
            picture(root / name / f"{k}.png", pixels)


def test_folder_with_classes(tmp_path):
    pictures(tmp_path, ["cat", "ant"])
    d = load({"name": "folder", "path": str(tmp_path)})
    assert d.event_shape == (3, 9, 7)
    assert d.support is Support.LEVELS
    assert d.label_names == ("ant", "cat")
    assert (len(d.train), len(d.validation), len(d.test)) == (10, 1, 1)
    everything = [(x, y) for s in (d.train, d.validation, d.test) for x, y in zip(s.x, s.y, strict=True)]
    assert all((x[1].max() > 0) == (y == 0) for x, y in everything)  # ant is green, cat red
    assert len({x.tobytes() for x, _ in everything}) == 12


def test_folder_of_loose_grey_pictures_resized(tmp_path):
    pictures(tmp_path, ["."])
    d = load({"name": "folder", "path": str(tmp_path), "colour": "grey", "size": 5})
    assert d.event_shape == (1, 5, 5)
    assert d.train.y is None
    assert (d.train.x == d.train.x[:, :, :1, :1]).all()


def test_folder_mistakes(tmp_path):
    def loaded(**options):
        return load({"name": "folder", "path": str(tmp_path), **options})

    with pytest.raises(UserError, match="no pictures in"):
        loaded()
    pictures(tmp_path, ["."])
    picture(tmp_path / "large.png", np.zeros((12, 12), np.uint8))
    with pytest.raises(UserError, match=r"large\.png: 12x12 pixels, but 0\.png has 7x9; give size: N"):
        loaded()
    assert loaded(size=4).event_shape == (3, 4, 4)
    (tmp_path / "large.png").write_bytes((tmp_path / "0.png").read_bytes()[:40])
    with pytest.raises(UserError, match=r"large\.png: not a picture that can be read"):
        loaded(size=4)
    picture(tmp_path / "large.png", np.zeros((9, 7), np.uint16))
    with pytest.raises(UserError, match="more than 8 bits"):
        loaded()
    (tmp_path / "sub").mkdir()
    with pytest.raises(UserError, match="both pictures"):
        loaded()

"""save and load: one safetensors file, the same numbers back, and one line for every file that is none."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load, save
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from torch import nn

import ratelab as rl
from ratelab.core.errors import UserError

Floats = NDArray[np.floating]
X: Floats = load_iris().data


def small(**options: Any) -> rl.VAE:
    """An estimator that trains in a moment."""
    return rl.VAE(**{"latent_dim": 2, "hidden": (16,), "epochs": 2, "random_state": 0, **options})


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A saved estimator."""
    small().fit(X).save(tmp_path / "vae.safetensors")
    return tmp_path / "vae.safetensors"


@pytest.mark.parametrize(
    "options",
    [{}, {"sigma": 0.3}, {"latent_dim": (2, 3), "beta": (np.float64(0.5), 2)}, {"likelihood": "bernoulli", "hidden": ()}],
)
def test_a_loaded_estimator_gives_the_same_numbers(options: dict[str, Any], tmp_path: Path) -> None:
    x = (X > 3).astype(float) if "likelihood" in options else X
    vae = small(**options).fit(x)
    vae.save(tmp_path / "vae.safetensors")
    again = rl.VAE.load(str(tmp_path / "vae.safetensors"))
    z = vae.transform(x)
    np.testing.assert_array_equal(again.transform(x), z)
    np.testing.assert_array_equal(again.inverse_transform(z), vae.inverse_transform(z))
    np.testing.assert_array_equal(again.sample(4), vae.sample(4))
    assert again.rate_distortion(x) == vae.rate_distortion(x)
    assert again.get_params() == vae.get_params()
    assert {k: v for k, v in vars(again).items() if k != "model_"} == {k: v for k, v in vars(vae).items() if k != "model_"}
    assert [p.name for p in tmp_path.iterdir()] == ["vae.safetensors"]


def test_what_was_fitted_is_saved_even_when_parameters_changed_since(tmp_path: Path) -> None:
    vae = small().fit(X).set_params(latent_dim=7, hidden=(4,))
    vae.save(tmp_path / "a")
    again = rl.VAE.load(tmp_path / "a")
    assert again.latent_dim == 7
    np.testing.assert_array_equal(again.transform(X), vae.transform(X))


def test_column_names_are_kept(tmp_path: Path) -> None:
    vae = small().fit(X)
    vae.feature_names_in_ = np.array(list("abcd"), dtype=object)  # as a data frame's columns leave it
    vae.save(tmp_path / "a")
    again = rl.VAE.load(tmp_path / "a")
    assert list(again.feature_names_in_) == list("abcd")
    assert again.n_features_in_ == 4
    with pytest.warns(UserWarning, match="valid feature names"):
        again.transform(X)


def test_modules_of_ones_own_are_given_again_to_load(tmp_path: Path) -> None:
    path, modules = tmp_path / "a", {"encoder": nn.Linear(4, 8), "decoder": nn.Linear(2, 4)}
    vae = small(**modules).fit(X)
    vae.save(path)
    fresh = {"encoder": nn.Linear(4, 8), "decoder": nn.Linear(2, 4)}
    np.testing.assert_array_equal(rl.VAE.load(path, **fresh).transform(X), vae.transform(X))
    with pytest.raises(UserError, match=r"code is not in it; call load\(\.\.\., encoder=module\)"):
        rl.VAE.load(path)
    with pytest.raises(UserError, match=r"load\(\.\.\., decoder=module\)"):
        rl.VAE.load(path, encoder=nn.Linear(4, 8))
    with pytest.raises(UserError, match="does not fit"):
        rl.VAE.load(path, encoder=nn.Linear(4, 9), decoder=nn.Linear(2, 4))


def test_a_module_that_was_not_used_is_refused(saved: Path) -> None:
    with pytest.raises(UserError, match="leave out decoder="):
        rl.VAE.load(saved, decoder=nn.Linear(2, 4))


def one_line(error: BaseException) -> bool:
    return "\n" not in str(error) and len(str(error)) < 500


def test_files_that_are_no_saved_vae_are_named(saved: Path, tmp_path: Path) -> None:
    blob = saved.read_bytes()
    header, tensors = blob[8 : 8 + int.from_bytes(blob[:8], "little")], load(blob)
    metadata = json.loads(header)["__metadata__"]
    cases = {
        "missing": (None, "is missing; give the path that VAE.save wrote to"),
        "empty": (b"", "is no saved VAE"),
        "text": (b"hello, this is a text file", "is no saved VAE"),
        "cut": (blob[:-10], "corrupt"),
        "half": (blob[: len(blob) // 2], "corrupt"),
        "foreign": (save({"a": torch.zeros(2)}), "no saved VAE"),
        "run": (save({"a": torch.zeros(2)}, {"ratelab": "{}"}), "no saved VAE"),
        "newer": (save(tensors, {**metadata, "version": "2"}), "newer RateLab"),
        "hollow": (save(tensors, {**metadata, "content": "{}"}), "header is incomplete"),
        "garbled": (save(tensors, {**metadata, "content": "{"}), "header is incomplete"),
        "fewer": (save({"a": torch.zeros(2)}, metadata), "does not fit"),
        "future": (save(tensors, {**metadata, "content": metadata["content"].replace('"beta"', '"betta"')}), "betta"),
    }
    for name, (content, message) in cases.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=message) as caught:
            rl.VAE.load(tmp_path / name)
        assert one_line(caught.value), name
        assert name in str(caught.value)


def test_a_damaged_header_never_ends_in_a_traceback(saved: Path) -> None:
    blob = bytearray(saved.read_bytes())
    stream, length = np.random.RandomState(0), int.from_bytes(blob[:8], "little")
    for position in stream.randint(0, 8 + length, 150):
        damaged = blob.copy()
        damaged[position] ^= 1 << int(stream.randint(3))
        saved.write_bytes(damaged)
        with suppress(UserError):  # any other exception fails the test; a changed digit may still be a valid file
            rl.VAE.load(saved)


def test_saving_where_one_cannot_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot write"):
        small().fit(X).save(tmp_path / "no" / "such" / "folder")
    with pytest.raises(UserError, match="cannot write"):
        small().fit(X).save(tmp_path)


def test_an_interrupted_write_leaves_the_old_file(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(UserError, match="disk is full"):
        small(random_state=1).fit(X).save(saved)
    assert saved.read_bytes() == before
    assert len(list(saved.parent.iterdir())) == 1


def test_an_unfitted_estimator_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        small().save(tmp_path / "a")


def test_a_random_state_instance_is_not_stored(tmp_path: Path) -> None:
    small(random_state=np.random.RandomState(0)).fit(X).save(tmp_path / "a")
    assert rl.VAE.load(tmp_path / "a").random_state is None

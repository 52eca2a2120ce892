"""Folders as pythae saves them: read without unpickling code, measured like any model, and refused with a reason."""

import json
import math
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import ratelab as rl
from ratelab.cli import main
from ratelab.core.errors import UserError
from ratelab.evaluation.pythae import read_pythae


def saved(folder: Path, loss: str = "bce", latents: int = 3, **changes: object) -> dict[str, torch.Tensor]:
    """A folder with the files that ``pythae.models.VAE(...).save`` writes, default networks on 1x6x6 images."""
    torch.manual_seed(0)
    modules = {
        "encoder.layers.0.0": nn.Linear(36, 512), "encoder.embedding": nn.Linear(512, latents),
        "encoder.log_var": nn.Linear(512, latents), "decoder.layers.0.0": nn.Linear(latents, 512),
        "decoder.layers.1.0": nn.Linear(512, 36),
    }  # fmt: skip
    state = {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    config = {
        "name": "VAEConfig", "input_dim": [1, 6, 6], "latent_dim": latents, "reconstruction_loss": loss,
        "uses_default_encoder": True, "uses_default_decoder": True, **changes,
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    (folder / "model_config.json").write_text(json.dumps(config))
    torch.save({"model_state_dict": state}, folder / "model.pt")
    return state


@pytest.mark.parametrize("loss", ["bce", "mse"])
def test_rate_and_distortion_are_those_of_its_formulas(tmp_path: Path, loss: str) -> None:
    state = saved(tmp_path, loss)
    x = (np.random.default_rng(0).random((2000, 1, 6, 6)) < 0.5).astype(np.float32)
    found = rl.measure(*read_pythae(tmp_path), None, x)

    def layer(name: str, values: torch.Tensor) -> torch.Tensor:
        return values @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    flat = torch.as_tensor(x).flatten(1)
    hidden = layer("encoder.layers.0.0", flat).relu()
    mean, log_variance = layer("encoder.embedding", hidden), layer("encoder.log_var", hidden)
    rate = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(-1)
    z = mean + (0.5 * log_variance).exp() * torch.randn(50, *mean.shape)
    pixels = torch.sigmoid(layer("decoder.layers.1.0", layer("decoder.layers.0.0", z).relu()))
    if loss == "bce":
        distortion = -(flat * pixels.log() + (1 - flat) * (1 - pixels).log()).sum(-1)
    else:
        distortion = 0.5 * (flat - pixels).square().sum(-1) + 18 * math.log(2 * math.pi)
    assert abs(found["rate"].value - float(rate.mean())) < 4 * found["rate"].stderr
    assert abs(found["distortion"].value - float(distortion.mean())) < 4 * found["distortion"].stderr


def test_the_command_measures_it_on_a_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved(tmp_path / "m")
    np.save(tmp_path / "x.npy", (np.random.default_rng(0).random((60, 6, 6)) < 0.5).astype(np.uint8))
    data = f"{{name: array, path: {tmp_path / 'x.npy'}}}"
    assert main(["evaluate", "--pythae", str(tmp_path / "m"), "--data", data, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["estimates"]) == {"rate", "rates", "distortion", "neg_elbo", "bits_per_dim"}
    assert found["estimates"]["neg_elbo"]["of"] == "negative log-likelihood"
    assert main(["evaluate", "--pythae", str(tmp_path / "m"), "--data", "digits"]) == 2
    assert "examples of 'digits' are" in capsys.readouterr().err


class Bomb:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("exploded"),))


def test_code_in_a_saved_file_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "m")
    (tmp_path / "m" / "model.pt").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(UserError, match="no plain weights"):
        read_pythae(tmp_path / "m")
    saved(tmp_path / "m")
    (tmp_path / "m" / "encoder.pkl").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(UserError, match="a pickle, which is not opened"):
        read_pythae(tmp_path / "m")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"uses_default_decoder": False}, "its decoder is a network of its own"),
        ({"reconstruction_loss": "l1"}, "is no likelihood that is known"),
        ({"latent_dim": 4}, "not those of a VAE with pythae's default networks"),
        ({"input_dim": None}, "names no input_dim"),
        ({"latent_dim": True}, "names no input_dim and latent_dim"),
        ({"latent_dim": 10**12}, "too large for the weights"),
        ({"input_dim": [10**9, 10**9]}, "too large for the weights"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, changes: dict, says: str) -> None:
    saved(tmp_path)
    config = json.loads((tmp_path / "model_config.json").read_text())
    (tmp_path / "model_config.json").write_text(json.dumps({**config, **changes}))
    with pytest.raises(UserError, match=says):
        read_pythae(tmp_path)


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no saved model of pythae"):
        read_pythae(tmp_path)
    saved(tmp_path)
    blob = (tmp_path / "model.pt").read_bytes()
    (tmp_path / "model.pt").write_bytes(blob[: len(blob) // 2])
    with pytest.raises(UserError, match="no plain weights"):
        read_pythae(tmp_path)
    (tmp_path / "model.pt").unlink()
    with pytest.raises(UserError, match="cannot be read"):
        read_pythae(tmp_path)
    (tmp_path / "model_config.json").write_text("{")
    with pytest.raises(UserError, match="no JSON"):
        read_pythae(tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda value: value.to_sparse(), "'encoder.embedding.weight' is no dense tensor"),
        (lambda value: 3, "'encoder.embedding.weight' is no dense tensor"),
        (lambda value: value + 1j, "'encoder.embedding.weight' is torch.complex64"),
        (lambda value: value.to(torch.int8), "'encoder.embedding.weight' is torch.int8"),
        (lambda value: value * torch.nan, "'encoder.embedding.weight' holds NaN or infinity"),
        (lambda value: value.double() + 1e300, "'encoder.embedding.weight' holds NaN or infinity"),
    ],
)
def test_weights_that_are_no_finite_floats_are_named(tmp_path: Path, change: Callable, says: str) -> None:
    state = saved(tmp_path)
    state["encoder.embedding.weight"] = change(state["encoder.embedding.weight"])
    torch.save({"model_state_dict": state}, tmp_path / "model.pt")
    with pytest.raises(UserError, match=says):
        read_pythae(tmp_path)


def test_a_flipped_byte_and_an_archive_of_something_else_are_said(tmp_path: Path) -> None:
    saved(tmp_path)
    blob = bytearray((tmp_path / "model.pt").read_bytes())
    blob[len(blob) // 2] ^= 1
    (tmp_path / "model.pt").write_bytes(blob)
    with pytest.raises(UserError, match="it is damaged"):
        read_pythae(tmp_path)
    torch.save([1, 2], tmp_path / "model.pt")
    with pytest.raises(UserError, match="no plain weights"):
        read_pythae(tmp_path)


def test_finite_weights_that_overflow_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = saved(tmp_path / "m")
    state["decoder.layers.1.0.weight"] = torch.full((36, 512), 3e38)
    torch.save({"model_state_dict": state}, tmp_path / "m" / "model.pt")
    np.save(tmp_path / "x.npy", (np.random.default_rng(0).random((60, 6, 6)) < 0.5).astype(np.uint8))
    data = f"{{name: array, path: {tmp_path / 'x.npy'}}}"
    assert main(["evaluate", "--pythae", str(tmp_path / "m"), "--data", data]) == 2
    assert "decoder: its log-density is NaN for some examples" in capsys.readouterr().err

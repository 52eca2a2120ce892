"""Stores written by hand in the format of run folders, so that analysis and report are tested without training."""

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ratelab.core.estimate import Estimate
from ratelab.store import RunFolder, Store

ENTROPY = 26.0
BETAS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)


def picture(shade: int) -> bytes:
    """A small PNG whose content depends on ``shade``."""
    image = np.random.default_rng(shade).integers(0, 256, (24, 48)).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(image.repeat(8, 0).repeat(8, 1)).save(out, format="PNG")
    return out.getvalue()


def densities(rates: list[float], distortion: float) -> dict[str, Any]:
    """The estimates of a model whose decoder gives densities."""
    found = estimates(rates, distortion)
    found["distortion"]["of"], found["neg_elbo"]["of"] = "distortion (density)", "negative log-density"
    return found


def estimates(rates: list[float], distortion: float, stderr: float = 0.2) -> dict[str, Any]:
    """The estimates that every run has, as in ``results.json``."""
    rate = sum(rates)
    return {
        "rate": Estimate(rate, stderr, 200, of="rate").to_json(),
        "rates": [Estimate(r, stderr, 200, of=f"rate of layer {len(rates) - i}").to_json() for i, r in enumerate(rates)],
        "distortion": Estimate(distortion, 1.5 * stderr, 200, of="distortion").to_json(),
        "neg_elbo": Estimate(rate + distortion, 1.2 * stderr, 200, of="negative log-likelihood", bound="upper").to_json(),
    }


def recipe(
    beta: float = 1.0, model: dict[str, Any] | None = None, data: str = "digits", objective: str = "beta", seed: int = 0
) -> dict[str, Any]:
    """A resolved recipe with the nodes that the analysis looks at."""
    return {
        "data": {"name": data},
        "model": model or {"name": "vae", "latent_dim": 16, "encoder": {"name": "gaussian"}, "decoder": {"name": "mlp"}},
        "objective": {"name": objective, "beta": beta},
        "seed": seed,
    }


def log_rows(rates: list[float], distortion: float, epochs: int = 12) -> list[dict[str, Any]]:
    """A training log that settles at the given numbers."""
    rows = []
    for epoch in range(1, epochs + 1):
        left = float(np.exp(-epoch / 3))
        now = [r * (1 - left) for r in rates]
        row: dict[str, Any] = {"epoch": epoch, "lr": 1e-3, "seconds": 0.1}
        for split in ("train", "validation"):
            d = distortion + 20 * left + (0.4 if split == "validation" else 0.0)
            row |= {
                f"{split}/rates": now,
                f"{split}/rate": sum(now),
                f"{split}/distortion": d,
                f"{split}/neg_elbo": sum(now) + d,
            }
        rows.append(row)
    return rows


def run_id(name: str) -> str:
    """A run id (12 hexadecimal digits) that starts with as much of ``name`` as is hexadecimal."""
    return (
        (name + hashlib.sha256(name.encode()).hexdigest())[:12]
        if set(name) <= set("0123456789abcdef")
        else (hashlib.sha256(name.encode()).hexdigest()[:12])
    )


def write_run(
    store: Path,
    name: str,
    rates: list[float] | None = None,
    distortion: float = 0.0,
    *,
    status: str = "done",
    why: str = "",
    given: dict[str, Any] | None = None,
    validation: tuple[list[float], float] | None = None,
    changes: dict[str, Any] | None = None,
    pictures: bool = True,
) -> RunFolder:
    """One run folder, its id made from ``name``. ``changes`` replaces single estimates; ``validation`` defaults to numbers
    near the test split's."""
    folder = Store.create(store).run(run_id(name))
    with folder.locked():
        folder.write_recipe(given or recipe())
        folder.write_provenance({"ratelab": "0.1.0", "torch": "2.13.0", "machine": {"system": "Linux", "cpu": "x86_64"}})
        if status == "running":
            return folder
        results: dict[str, Any] = {
            "schema": 1,
            "run": folder.id,
            "recipe": given or recipe(),
            "status": status,
            "estimates": {},
            "validation": {},
        }
        if why:
            results["why"] = why
        if rates is not None:
            results["estimates"] = estimates(rates, distortion) | (changes or {})
            results["validation"] = estimates(*(validation or (rates, distortion + 0.3)))
            _write_arrays(folder, rates, distortion)
            for i, picture_name in enumerate(("reconstructions", "samples") if pictures else ()):
                folder.write_picture(picture_name, picture(sum(map(ord, folder.id)) + i))
        folder.write_results(results)
    return folder


def _write_arrays(folder: RunFolder, rates: list[float], distortion: float) -> None:
    for row in log_rows(rates, distortion):
        folder.append_log(row)
    noise = np.random.default_rng(0).normal(size=(len(rates), 200))
    per_layer = np.array(rates)[:, None] + noise
    arrays = {"rates": per_layer, "rate": per_layer.sum(0), "distortion": distortion + noise[0]}
    folder.write_per_example(arrays | {"neg_elbo": arrays["rate"] + arrays["distortion"]})


def curve(beta: float, gap: float) -> tuple[float, float]:
    """(R, D) of an imaginary family that stays ``gap`` nats above the entropy at beta = 1."""
    rate = ENTROPY * 0.9 / (1 + 0.8 * beta**1.3)
    return rate, ENTROPY - rate + gap + 0.9 * np.log(beta) ** 2 / (1 + beta / 4)


def write_sweep(store: Path) -> Path:
    """Three families over six betas, one diverged, one deterministic and one unfinished run."""
    two_layers = {"name": "hierarchy", "latent_dim": [8, 16], "encoder": {"name": "gaussian"}, "decoder": {"name": "mlp"}}
    conv = {"name": "vae", "latent_dim": 16, "encoder": {"name": "gaussian"}, "decoder": {"name": "conv"}}
    for f, (model, gap) in enumerate([(None, 2.5), (conv, 1.4), (two_layers, 0.8)]):
        for b, beta in enumerate(BETAS):
            rate, distortion = curve(beta, gap + 0.3 * ((b * 7 + f) % 3))
            rates = [0.35 * rate, 0.65 * rate] if model is two_layers else [rate]
            write_run(store, f"{f}{b}a7c9", rates, distortion, given=recipe(beta, model))
    write_run(store, "b0ad", status="diverged", why="the loss became NaN in epoch 3", given=recipe(8.0))
    deterministic = {"rate": Estimate(float("inf"), float("nan"), 200, of="rate", why="the encoder is deterministic").to_json()}
    write_run(store, "de7e", [0.0], 3.0, changes=deterministic, given=recipe(0.0, objective="autoencoder"))
    write_run(store, "f00f", status="running", given=recipe(16.0))
    return store


def write_twelve_families(store: Path) -> Path:
    """Runs of all twelve (encoder, decoder, marginal) families of Alemi et al. 2018 at four betas."""
    n = 0
    for encoder in ("gaussian", "iaf"):
        for decoder in ("deconv", "pixelcnn"):
            for marginal in ("normal", "maf", "vamp"):
                for beta in (0.1, 0.5, 1.0, 2.0):
                    gap = 9.0 * (decoder == "deconv") + 2.0 * (encoder == "gaussian") + 1.5 * (marginal == "normal")
                    rate, distortion = (3.0 * v for v in curve(beta, gap / 3))
                    parts = {"encoder": {"name": encoder}, "decoder": {"name": decoder}, "marginal": {"name": marginal}}
                    given = recipe(beta, {"name": "vae", "latent_dim": 64, **parts}, data="static_mnist")
                    write_run(store, f"abc{n:03d}", [rate], distortion, given=given, pictures=False)
                    n += 1
    return store


def write_many(store: Path, runs: int) -> Path:
    """A store of so many finished runs of four families, beta from 0.1 to 10; quickly: not made to survive a loss of power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        for n in range(runs):
            beta = 0.1 * 100 ** (n / runs)
            parts = {"encoder": {"name": "gaussian"}, "decoder": {"name": ("mlp", "conv", "deconv", "pixelcnn")[n % 4]}}
            rate, distortion = curve(beta, 0.8 * (n % 4) + 0.1 * ((n * 7) % 5))
            given = recipe(beta, {"name": "vae", "latent_dim": 16, **parts}, seed=n % 3)
            write_run(store, f"{n:06x}", [rate], distortion, given=given)
    return store

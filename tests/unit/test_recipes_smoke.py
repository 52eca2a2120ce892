"""Every recipe that ships runs at smoke size: synthetic data that needs no download, one epoch, a full set of results."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ratelab.core.estimate import Estimate
from ratelab.data import DATASETS
from ratelab.runs import Circumstances, execute, expand, read_recipe, shipped
from ratelab.store import Store

SMALL = ("training.epochs=1", "training.batch_size=50")
NARROW = {  # what makes a part of a model small
    "pixelcnn++": ("model.decoder.features=2", "model.decoder.layers=1"),
    "vamp": ("model.marginal.pseudo_inputs=20",),
    "convolutional": ("model.width=4", "model.latent_channels=[2, 2]"),
}
STROKES = {"name": "strokes", "n": 520}
STAND_IN: dict[str, dict[str, Any]] = {
    "static-mnist": STROKES,
    "mnist": STROKES,
    "digits": {"name": "digits", "limit": 100},
    "color-mnist": {"name": "color-mnist", "digits": "embedded"},
    "gaussian-pair": {"name": "gaussian-pair", "dimensions": 2, "n": 60},
}


def stand_in(source: str, folder: Path) -> list[str]:
    """Small data of the same kind in place of files that are not at hand."""
    if source in ("cifar-10", "svhn"):
        pixels = np.random.default_rng(0).integers(0, 256, (200, 3, 32, 32), dtype=np.uint8)
        np.savez(folder / "colour.npz", x=pixels, y=np.arange(200) % 10)
        return [f"data={json.dumps({'name': 'array', 'path': str(folder / 'colour.npz'), 'validation': 0.25, 'test': 0.5})}"]
    return [f"data={json.dumps(STAND_IN[source])}"] if source in STAND_IN else []


def parts(recipe: Mapping[str, Any]) -> list[str]:
    """The names of a recipe's model and of its decoder, marginal and network, where it gives any."""
    model = recipe.get("model")
    wanted = ("name", "decoder", "marginal", "network", "law")
    nodes = [model.get(part) for part in wanted] if isinstance(model, dict) else []
    return [node["name"] if isinstance(node, dict) else node for node in nodes if node]


def at_its_pace(name: str) -> Any:
    """Pictures of 28x28 that are drawn pixel by pixel take seconds, and so do networks made for a GPU and ten thousand latents."""
    base = read_recipe(name).base
    large = base["data"] == "color-mnist" or {"pixelcnn++", "resnet-18", "densenet-121", "convolutional"} & set(parts(base))
    return pytest.param(name, marks=pytest.mark.slow) if large else name


def made_of_others(name: str) -> bool:
    """Whether a recipe's families are other recipes, which run here themselves."""
    return any("recipe" in family for family in read_recipe(name).families)


@pytest.mark.spec("GE05")
@pytest.mark.parametrize("name", [at_its_pace(name) for name in shipped() if not made_of_others(name)])
def test_a_shipped_recipe_runs_at_smoke_size(name: str, tmp_path: Path) -> None:
    file = read_recipe(name)
    given = file.base["data"]
    source = given if isinstance(given, str) else given["name"]
    assert source in DATASETS
    assignments = [*SMALL, *stand_in(source, tmp_path)]
    narrow = [change for part in parts(file.base) for change in NARROW.get(part, ())]
    assignments += [change.replace("decoder", "law") if "law" in file.base["model"] else change for change in narrow]
    every = expand(file, assignments)
    assert every
    store = Store.create(tmp_path / "store")
    families = {str(recipe.model): recipe for recipe in every}
    for recipe in families.values():
        results = execute(recipe, store, Circumstances())
        assert results["status"] == "done"
        for key in ("rate", "distortion", "neg_elbo"):
            assert Estimate.from_json(results["estimates"][key]).n > 0

"""Small models of every kind for the contract tests, and the data they are wired to."""

from typing import Any

import numpy as np
import torch

from ratelab.core.batch import Batch
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.model import Model
from ratelab.core.objective import Setting
from ratelab.data import load
from ratelab.distributions.flows import FLOWS
from ratelab.estimators import ESTIMATORS
from ratelab.marginals import MARGINALS
from ratelab.models import MODELS
from ratelab.objectives import OBJECTIVES
from ratelab.training import OPTIMISERS, Plan, Trainer


def binary_images(n: int = 60) -> Dataset:
    x = (np.random.default_rng(0).random((n, 1, 8, 8)) < 0.3).astype(np.uint8)
    y = np.arange(n) % 10
    return Dataset("binary images", Support.BINARY, Split(x, y), Split(x[:20], y[:20]), Split(x[:20], y[:20]))


def grey_images(n: int = 60, channels: int = 1) -> Dataset:
    x = np.random.default_rng(0).integers(0, 256, (n, channels, 8, 8), dtype=np.uint8)
    return Dataset("grey images", Support.LEVELS, Split(x), Split(x[:20]), Split(x[:20]))


def colour_images() -> Dataset:
    return grey_images(channels=3)


def grey_table(n: int = 60) -> Dataset:
    x = np.random.default_rng(0).integers(0, 256, (n, 3), dtype=np.uint8)
    return Dataset("grey table", Support.LEVELS, Split(x), Split(x[:20]), Split(x[:20]))


def real_table(n: int = 60) -> Dataset:
    x = (3 + 2 * np.random.default_rng(0).standard_normal((n, 5))).astype(np.float32)
    return Dataset("real table", Support.REAL, Split(x), Split(x[:20]), Split(x[:20]))


def states(n: int = 60) -> Dataset:
    x = np.random.default_rng(0).integers(0, 6, n).astype(np.float32)
    return Dataset("states", Support.REAL, Split(x), Split(x[:20]), Split(x[:20]))


SMALL = {"name": "mlp", "hidden": [16]}


def family(encoder: dict[str, Any], marginal: Any = "normal", latent_dim: int = 3) -> tuple[dict[str, Any], Any]:
    """A VAE of a given encoder and marginal on the binary images."""
    encoder = {"network": SMALL, **encoder}
    decoder = {"name": "bernoulli", "network": SMALL}
    node = {"name": "vae", "latent_dim": latent_dim, "encoder": encoder, "decoder": decoder, "marginal": marginal}
    return node, binary_images


def decoded(decoder: dict[str, Any], data: Any, encoder: dict[str, Any] | None = None) -> tuple[dict[str, Any], Any]:
    """A VAE of a given decoder on given images."""
    encoder = {"name": "gaussian", "network": SMALL, **(encoder or {})}
    return {"name": "vae", "latent_dim": 3, "encoder": encoder, "decoder": decoder}, data


def flow(name: str) -> dict[str, Any]:
    """A node of the flow table, with small networks where it has any."""
    return {"name": name, "hidden": [8, 8]} if "hidden" in FLOWS[name].schema.model_fields else {"name": name}


GAUSSIAN = {"name": "gaussian"}
SMALL_MARGINALS: dict[str, dict[str, Any]] = {
    "mixture": {"components": 4},
    "maf": {"steps": 2, "hidden": [8, 8]},
    "real-nvp": {"steps": 2, "hidden": [8]},
    "flow": {"flow": flow("spline"), "steps": 2},
    "lstm": {"hidden": 8},
    "vamp": {"pseudo_inputs": 6},
}
ONE_HOT = {"name": "categorical", "states": 3}
CASES: dict[str, tuple[dict[str, Any], Any]] = {
    "vae": (
        {
            "name": "vae",
            "latent_dim": 3,
            "encoder": {"name": "gaussian", "network": SMALL},
            "decoder": {"name": "bernoulli", "network": SMALL},
        },
        binary_images,
    ),
    "vae, gated convolutions": (
        {
            "name": "vae",
            "latent_dim": 3,
            "encoder": {"name": "gaussian", "network": {"name": "conv", "width": 4, "features": 8}, "rescale": True},
            "decoder": {"name": "bernoulli", "network": {"name": "deconv", "width": 4}},
        },
        binary_images,
    ),
    "vae, standardised gaussian": (
        {
            "name": "vae",
            "latent_dim": 2,
            "encoder": {"name": "gaussian", "network": SMALL, "spread": "softplus"},
            "decoder": {"name": "gaussian", "network": SMALL},
            "standardise": True,
        },
        real_table,
    ),
    "hierarchy of one": (
        {
            "name": "hierarchy",
            "latent_dim": [3],
            "encoder": {"name": "gaussian", "network": SMALL},
            "decoder": {"name": "bernoulli", "network": SMALL},
        },
        binary_images,
    ),
    "hierarchy of two": (
        {
            "name": "hierarchy",
            "latent_dim": [2, 3],
            "encoder": {"name": "gaussian", "network": SMALL, "joint": [8]},
            "decoder": {"name": "bernoulli", "network": SMALL},
        },
        binary_images,
    ),
    "hierarchy of four": (
        {
            "name": "hierarchy",
            "latent_dim": [1, 2, 3, 4],
            "encoder": {"name": "gaussian", "network": SMALL, "joint": [8]},
            "decoder": {"name": "gaussian", "network": SMALL, "sigma": 0.7},
            "standardise": True,
        },
        real_table,
    ),
    **{
        f"hierarchy of three, {kind}": (
            {
                "name": "hierarchy",
                "latent_dim": [2, 3, 4],
                "encoder": {"name": "gaussian", "network": SMALL, "joint": [8]},
                "decoder": {"name": "bernoulli", "network": SMALL},
                "marginal": "diagonal",
                "inference": kind,
            },
            binary_images,
        )
        for kind in ("ladder", "coupled")
    },
    "bottom-up": (
        {
            "name": "bottom-up",
            "latent_dim": [2, 3, 4],
            "encoder": {"name": "gaussian", "network": SMALL},
            "upper": {"name": "gaussian", "network": SMALL},
            "decoder": {"name": "bernoulli", "network": SMALL},
        },
        binary_images,
    ),
    "xiao2023": ({"name": "xiao2023", "latent_dim": 3, "width": 4}, binary_images),
    "xiao2023, categorical above": (
        {
            "name": "xiao2023",
            "latent_dim": 6,
            "width": 4,
            "top": {"name": "categorical", "network": SMALL, "states": 3},
            "marginal": {"name": "categorical", "states": 3},
        },
        binary_images,
    ),
    "xiao2023, a vector below": ({"name": "xiao2023", "latent_dim": 3, "width": 4, "vector": 5}, binary_images),
    "xiao2023, ladder, a vector below": (
        {"name": "xiao2023", "latent_dim": 3, "width": 4, "vector": 5, "inference": "ladder"},
        binary_images,
    ),
    "convolutional": ({"name": "convolutional", "latent_channels": [2, 3, 2], "width": 4}, binary_images),
    "hierarchy of two, categorical above": (
        {
            "name": "hierarchy",
            "latent_dim": [6, 3],
            "top": {"name": "categorical", "network": SMALL, "states": 3},
            "encoder": {"name": "gaussian", "network": SMALL, "joint": [8]},
            "decoder": {"name": "bernoulli", "network": SMALL},
            "marginal": {"name": "categorical", "states": 3},
        },
        binary_images,
    ),
    "xiao2023, ladder, grey levels": (
        {
            "name": "xiao2023",
            "latent_dim": 3,
            "width": 4,
            "inference": "ladder",
            "decoder": {"name": "gaussian", "network": "xiao2023", "sigma": 0.71},
        },
        colour_images,
    ),
    **{f"vae, {name} flow": family({"name": "flow", "flow": flow(name), "steps": 2}) for name in FLOWS},
    **{
        f"vae, {name} flow that sees x": family({"name": "flow", "flow": flow(name), "steps": 2, "context": 4})
        for name in FLOWS
    },
    **{
        f"vae, {name} marginal": family(GAUSSIAN, {"name": name, **SMALL_MARGINALS.get(name, {})})
        for name in MARGINALS
        if name != "categorical"
    },
    "vae, affine maf": family(GAUSSIAN, {"name": "maf", "steps": 2, "hidden": [8], "affine": True}),
    "vae, full covariance": family({"name": "full-gaussian"}),
    "vae, full covariance and diagonal marginal": family({"name": "full-gaussian"}, "diagonal"),
    "vae, full covariance and vamp": family({"name": "full-gaussian"}, {"name": "vamp", "pseudo_inputs": 6}),
    "vae, flow and vamp": family({"name": "flow", "flow": flow("iaf-mean"), "steps": 2}, {"name": "vamp", "pseudo_inputs": 6}),
    "vae, flow that sees x and vamp": family(
        {"name": "flow", "flow": flow("iaf"), "steps": 2, "context": 4}, {"name": "vamp", "pseudo_inputs": 6}
    ),
    "vae, categorical": family(ONE_HOT, ONE_HOT, 6),
    "vae, categorical straight through": family({**ONE_HOT, "gradient": "straight-through"}, {**ONE_HOT, "learned": True}, 6),
    "vae, categorical and vamp": family(ONE_HOT, {"name": "vamp", "pseudo_inputs": 6}, 6),
    "vae, implicit": family({"name": "implicit", "noise": 2, "mixing": [8]}),
    "vae, deterministic": family({"name": "deterministic"}),
    "hierarchy of two, vamp on flows": (
        {
            "name": "hierarchy",
            "latent_dim": [2, 3],
            "encoder": {"name": "flow", "network": SMALL, "joint": [8], "flow": flow("real-nvp"), "steps": 2},
            "decoder": {"name": "bernoulli", "network": SMALL},
            "marginal": {"name": "vamp", "pseudo_inputs": 6},
        },
        binary_images,
    ),
    "vae, vamp on a standardised table": (
        {
            "name": "vae",
            "latent_dim": 2,
            "encoder": {"name": "gaussian", "network": SMALL},
            "decoder": {"name": "gaussian", "network": SMALL},
            "marginal": {"name": "vamp", "pseudo_inputs": 6},
            "standardise": True,
        },
        real_table,
    ),
    "vae, 256-way categorical decoder": decoded({"name": "categorical", "network": SMALL}, grey_table),
    "vae, quantised normal": decoded({"name": "quantised-normal", "network": SMALL}, colour_images),
    "vae, discretised logistic": decoded({"name": "discretised-logistic", "network": SMALL}, colour_images),
    "vae, mixture of logistics": decoded({"name": "logistic-mixture", "network": SMALL, "components": 3}, colour_images),
    "vae, pixelcnn++": decoded({"name": "pixelcnn++", "features": 2, "layers": 1}, binary_images),
    "vae, gated pixelcnn of grey levels": decoded(
        {"name": "gated-pixelcnn", "network": SMALL, "maps": 2, "features": 2, "layers": 1, "pixels": "logistic-mixture"},
        grey_images,
    ),
    **{
        f"vae, {name}": decoded(
            {"name": "gaussian", "network": {"name": name, "width": 8}}, colour_images, {"network": {"name": name, "width": 8}}
        )
        for name in ("dcgan", "colormnist", "wae-dcgan", "xiao2023")
    },
    "auxiliary": (
        {
            "name": "auxiliary",
            "latent_dim": 3,
            "auxiliary_dim": 2,
            "auxiliary": {"name": "gaussian", "network": SMALL},
            "encoder": {"name": "gaussian", "network": SMALL, "joint": [8]},
            "reverse": {"name": "gaussian", "network": SMALL, "joint": [8]},
            "decoder": {"name": "bernoulli", "network": SMALL},
        },
        binary_images,
    ),
    "hamiltonian": (
        {
            "name": "hamiltonian",
            "latent_dim": 3,
            "transitions": 2,
            "leapfrogs": 2,
            "encoder": {"name": "gaussian", "network": SMALL},
            "reverse": {"name": "gaussian", "network": SMALL, "joint": [8]},
            "decoder": {"name": "bernoulli", "network": {**SMALL, "activation": "tanh"}},
        },
        binary_images,
    ),
    "bottleneck": (
        {
            "name": "bottleneck",
            "latent_dim": 3,
            "encoder": {"name": "gaussian", "network": SMALL},
            "classifier": {"name": "mlp", "hidden": [4]},
        },
        binary_images,
    ),
    "local": (
        {"name": "local", "latent_dim": 2, "decoder": {"name": "bernoulli", "network": SMALL}, "e_steps": 3},
        binary_images,
    ),
    "gaussian mixture": ({"name": "gaussian-mixture", "components": 4}, real_table),
    "density, gated pixelcnn": (
        {"name": "density", "law": {"name": "gated-pixelcnn", "features": 2, "layers": 1}},
        binary_images,
    ),
    "density, pixelcnn++ of grey levels": (
        {"name": "density", "law": {"name": "pixelcnn++", "features": 2, "layers": 1, "pixels": "logistic-mixture"}},
        grey_images,
    ),
    "invertible": ({"name": "invertible", "flow": {"name": "real-nvp", "hidden": [8]}, "steps": 2}, real_table),
    "tables": ({"name": "tables", "states": 6, "latent_states": 4, "init": 0.5}, states),
    "toy": ({"name": "toy", "states": 6, "latent_states": 4, "init": 0.5}, states),
}

REMEMBERS = ("local",)  # a training pass changes what it keeps of the rows
ENUMERATED = ("tables", "toy", "gaussian mixture")  # every latent is visited, whatever number of samples is asked for
NO_EXAMPLES = ("bottleneck",)  # a pass from the model draws labels, so it has no rate
NO_RATE = {"vae, implicit": torch.nan, "vae, deterministic": torch.inf}  # what these encoders' rates are, always


def build(case: str, seed: int = 0) -> tuple[Model, Dataset]:
    node, make = CASES[case]
    dataset = make()
    torch.manual_seed(seed)
    return MODELS.build(MODELS.resolve(node, "model"), dataset), dataset


def critic(seed: int = 0) -> tuple[Model, Dataset]:
    """A critic of the codes of the plain VAE."""
    model, dataset = build("vae", seed)
    node = MODELS.resolve({"name": "code-critic", "of": "none", "layers": 1, "width": 8}, "model")
    return MODELS.build(node, dataset, model), dataset


def known_critic(seed: int = 0) -> tuple[Model, Dataset]:
    """A critic of two Gaussians in two dimensions."""
    dataset = load({"name": "gaussian-pair", "dimensions": 2, "n": 60, "seed": seed})
    return MODELS.build(MODELS.resolve({"name": "gaussian-critic", "layers": 1, "width": 8}, "model"), dataset), dataset


def taught(node: dict[str, Any], model: Model, dataset: Dataset) -> Model:
    """The helper of a resolved estimator ``node``, trained beside ``model`` on its training examples as the estimator asks."""
    lesson = ESTIMATORS[node["name"]].target.lesson(node, len(dataset.train))  # type: ignore[attr-defined]
    torch.manual_seed(node["seed"])
    helper = MODELS.build(MODELS.resolve({**lesson["model"], "of": "it"}, "model"), dataset, model)
    objective = OBJECTIVES.build(OBJECTIVES.resolve(lesson["objective"], "objective"), Setting(dataset.event_shape, (), 1, 1))
    optimiser = OPTIMISERS.resolve(lesson["optimiser"], "optimiser")
    trainer = Trainer(helper, objective, dataset, optimiser, Plan(**lesson["training"]), node["seed"])
    while not trainer.done:
        trainer.run_epoch()
    assert trainer.status == "done"
    return helper.eval()


def batch_of(dataset: Dataset, n: int = 7, dtype: torch.dtype = torch.float32) -> Batch:
    y = None if dataset.train.y is None else torch.as_tensor(dataset.train.y[:n])
    return Batch(torch.as_tensor(dataset.train.x[:n]).to(dtype) * dataset.scale, torch.arange(n), y=y)

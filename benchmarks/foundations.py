"""The tables of docs/results/foundations.md: posteriors of four points, free bits, annealing. About two minutes on one core.

python benchmarks/foundations.py
"""

import math
from typing import Any

import torch

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.dataset import Dataset
from ratelab.core.model import Model
from ratelab.core.objective import Setting
from ratelab.data import load
from ratelab.models import MODELS
from ratelab.objectives import OBJECTIVES
from ratelab.runs import expand, read_recipe
from ratelab.training import OPTIMISERS, Plan, Trainer


def trained(
    data: Dataset, model: Any, objective: Any, epochs: int, *, lr: float, batch: int = 64, seed: int = 0
) -> tuple[Model, dict[str, Any]]:
    """The model after its training, and the log's last row."""
    torch.manual_seed(seed)
    built = MODELS.build(MODELS.resolve(model, "model"), data)
    setting = Setting(built.event_shape, built.latent_shapes, epochs, len(data.train))
    chosen = OBJECTIVES.build(OBJECTIVES.resolve(objective, "objective"), setting)
    optimiser = OPTIMISERS.resolve({"name": "adam", "lr": lr, "constant": 0.5}, "optimiser")
    trainer = Trainer(built, chosen, data, optimiser, Plan(epochs=epochs, batch_size=batch, validate_every=epochs), seed)
    row: dict[str, Any] = {}
    while not trainer.done:
        row = trainer.run_epoch()
    return built.eval(), row


def digits_vae(latents: int) -> dict[str, Any]:
    network = {"name": "mlp", "hidden": [64]}
    return {
        "name": "vae",
        "latent_dim": latents,
        "encoder": {"name": "gaussian", "network": network},
        "decoder": {"name": "bernoulli", "network": network},
    }


@torch.no_grad()
def four_points() -> None:
    """log p(x) by quadrature over the two latents, the ELBO and what lies between; means over the four points, nats."""
    axis = torch.linspace(-6, 6, 241)
    z = torch.cartesian_prod(axis, axis).unsqueeze(1).expand(-1, 4, -1)
    x = torch.eye(4)
    for recipe in expand(read_recipe("kingma2019/toy-posteriors")):
        for seed in (0, 1):
            with torch.enable_grad():
                model, _ = trained(load("four-points"), recipe.model, recipe.objective, 400, lr=3e-3, batch=100, seed=seed)
            evidence = (model.log_joint(x, (z,)).logsumexp(0) + 2 * math.log(float(axis[1] - axis[0]))).mean()
            seen = model(Batch(x), LiveNoise(1), 4000)
            elbo = -(seen.distortion + seen.rate).mean()
            name = recipe.model["encoder"]["name"]
            print(f"four points, {name}, seed {seed}: log p {evidence:.3f}, ELBO {elbo:.3f}, gap {evidence - elbo:.3f}")


def free_bits() -> None:
    """The smallest mean rate of a dimension, nats."""
    digits = load("digits")
    for bits in (0.0, 0.125, 0.25, 0.5, 1.0, 2.0):
        model, _ = trained(digits, digits_vae(8), {"name": "free-bits", "bits": bits}, 25, lr=3e-3)
        with torch.no_grad():
            (layer,) = model(Batch(torch.as_tensor(digits.train.x).float()), LiveNoise(0)).layers
            assert layer.unit_rate is not None
            print(f"free bits, lambda {bits}: smallest rate {layer.unit_rate.mean((0, 1)).min():.3f}")


def annealing() -> None:
    """The rate on the training rows and the -ELBO on the validation rows at the end, nats."""
    digits = load("digits")
    for seed in range(3):
        for epochs in (0.0, 20.0):
            _, row = trained(digits, digits_vae(16), {"name": "beta", "annealing": epochs}, 40, lr=1e-3, seed=seed)
            print(
                f"annealing over {epochs:.0f} epochs, seed {seed}: "
                f"rate {row['train/rate']:.2f}, -ELBO {row['validation/neg_elbo']:.2f}"
            )


if __name__ == "__main__":
    torch.set_num_threads(1)
    four_points()
    free_bits()
    annealing()

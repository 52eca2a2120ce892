"""Beta-VAEs trained on linear-Gaussian data against the closed-form rate-distortion curve (reverse water-filling).

    python benchmarks/linear_gaussian.py      two tables: trained on the exact loss, and on samples through the library's loop

Data N(0, diag(3, 1.5, 0.4)), decoder variance 0.3, three latents, beta in {0.25, 0.5, 1, 2, 6, 12}.
"""

import argparse
import math

import numpy as np
import torch

from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.objective import Setting
from ratelab.exact.linear_gaussian import LinearGaussianVAE, optimal_rate_distortion
from ratelab.models import MODELS
from ratelab.objectives import OBJECTIVES
from ratelab.training import OPTIMISERS, Plan, Trainer

BETAS = (0.25, 0.5, 1.0, 2.0, 6.0, 12.0)
EIGENVALUES = torch.tensor([3.0, 1.5, 0.4], dtype=torch.float64)
SIGMA2, LATENTS = 0.3, 3


def exactly(beta: float, steps: int = 2000) -> tuple[float, float]:
    """Minimise the exact D + beta R over every linear encoder and decoder; returns the exact (R, D) reached."""
    generator = torch.Generator().manual_seed(0)
    shapes = {"w": (LATENTS, 3), "b": (LATENTS,), "log_v": (LATENTS,), "a": (3, LATENTS), "c": (3,)}
    p = {k: (0.3 * torch.randn(s, generator=generator, dtype=torch.float64)).requires_grad_() for k, s in shapes.items()}
    optimiser = torch.optim.LBFGS(
        p.values(), max_iter=steps, tolerance_grad=1e-10, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def vae() -> LinearGaussianVAE:
        return LinearGaussianVAE(torch.zeros(3), torch.diag(EIGENVALUES), p["w"], p["b"], p["log_v"].exp(), p["a"], p["c"],
                                 torch.tensor(SIGMA2))  # fmt: skip

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = vae().distortion + beta * vae().rate
        value.backward()
        return value

    optimiser.step(loss)
    return vae().rate.item(), vae().distortion.item()


def gaussian_data(n: int, seed: int) -> Dataset:
    rng = np.random.default_rng(seed)
    draw = lambda count: Split((rng.standard_normal((count, 3)) * EIGENVALUES.sqrt().numpy()).astype(np.float32))  # noqa: E731
    return Dataset("linear-Gaussian", Support.REAL, draw(n), draw(1000), draw(1000))


def from_samples(beta: float, epochs: int, n: int = 50000, seed: int = 0) -> LinearGaussianVAE:
    """Train through the library's own loop on samples; returns what was learnt, as an exact linear-Gaussian VAE."""
    data = gaussian_data(n, seed)
    linear = {"name": "mlp", "hidden": []}
    node = {"name": "vae", "latent_dim": LATENTS, "encoder": {"name": "gaussian", "network": linear},
            "decoder": {"name": "gaussian", "network": linear, "sigma": math.sqrt(SIGMA2)}}  # fmt: skip
    torch.manual_seed(seed)
    model = MODELS.build(MODELS.resolve(node, "model"), data)
    objective = OBJECTIVES.build({"name": "beta", "beta": beta}, Setting(model.event_shape, model.latent_shapes, epochs, n))
    optimiser = OPTIMISERS.resolve({"name": "adam", "lr": 5e-3, "constant": 0.4}, "optimiser")
    trainer = Trainer(model, objective, data, optimiser, Plan(epochs=epochs, batch_size=250, validate_every=epochs), seed)
    while not trainer.done:
        trainer.run_epoch()
    head, out = model.encoder.head.out, model.decoder.network.head
    # The encoder's spread is a linear function of x; at the optimum it does not depend on x, and its value at the mean is kept.
    weight, bias = head.weight.detach().double(), head.bias.detach().double()
    return LinearGaussianVAE(torch.zeros(3), torch.diag(EIGENVALUES), weight[:LATENTS], bias[:LATENTS],
                             (2 * bias[LATENTS:]).exp(), out.weight.detach().double(), out.bias.detach().double(),
                             torch.tensor(SIGMA2))  # fmt: skip


def row(beta: float, rate: float, distortion: float) -> str:
    truth = optimal_rate_distortion(EIGENVALUES, SIGMA2, LATENTS, beta)
    total = (distortion + beta * rate) - float(truth.distortion + beta * truth.rate)
    return (
        f"{beta:5g}  R {rate:9.6f} ({rate - float(truth.rate):+.1e})  D {distortion:9.6f} "
        f"({distortion - float(truth.distortion):+.1e})  D + beta R {total:+.1e}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=40, help="epochs of 50 000 samples for the second table")
    epochs = parser.parse_args().epochs
    torch.set_num_threads(1)
    print("exact loss (error against the closed form)")
    for beta in BETAS:
        print(row(beta, *exactly(beta)))
    print("\nsampled data and reparameterised draws, measured exactly afterwards")
    for beta in BETAS:
        learnt = from_samples(beta, epochs)
        print(row(beta, float(learnt.rate), float(learnt.distortion)))


if __name__ == "__main__":
    main()

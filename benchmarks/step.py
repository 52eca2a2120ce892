"""One training step of the library against a bare hand-written loop, same network, losses from logits, fused Adam.

    python benchmarks/step.py            prints the ratio of medians for the MLP (batch 100) and the gated conv network

Both sides train on the same 28x28 binary images in one process, in alternating blocks, so that the machine's mood hits both.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F

from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.objective import Setting
from ratelab.models import MODELS
from ratelab.objectives import OBJECTIVES
from ratelab.training import OPTIMISERS, Plan, Trainer


def images(n: int) -> Dataset:
    x = (np.random.default_rng(0).random((n, 1, 28, 28)) < 0.13).astype(np.uint8)
    return Dataset("noise", Support.BINARY, Split(x), Split(x[:100]), Split(x[:100]))


NETWORKS = {
    "mlp": (
        {"latent_dim": 40},
        {"name": "mlp", "hidden": [400, 400]},
        {"name": "mlp", "hidden": [400, 400]},
    ),
    "conv": ({"latent_dim": 64}, {"name": "conv"}, {"name": "deconv"}),
}


def library(network: str, data: Dataset, batch: int) -> Callable[[], None]:
    """One epoch of the library's loop."""
    sizes, encoder, decoder = NETWORKS[network]
    node = MODELS.resolve({"name": "vae", **sizes, "encoder": {"name": "gaussian", "network": encoder},
                           "decoder": {"name": "bernoulli", "network": decoder}}, "model")  # fmt: skip
    torch.manual_seed(0)
    model = MODELS.build(node, data)
    setting = Setting(model.event_shape, model.latent_shapes, 10**6, len(data.train))
    objective = OBJECTIVES.build(OBJECTIVES.resolve({"name": "beta"}, "objective"), setting)
    plan = Plan(epochs=10**6, batch_size=batch, validate_every=10**6)
    trainer = Trainer(model, objective, data, OPTIMISERS.resolve("adam", "optimiser"), plan, 0)

    def epoch() -> None:
        trainer.run_epoch()

    return epoch


def bare(network: str, data: Dataset, batch: int) -> Callable[[], None]:
    """One epoch of what one would write by hand: no framework, nothing logged but the loss."""
    sizes, encoder, decoder = NETWORKS[network]
    node = MODELS.resolve({"name": "vae", **sizes, "encoder": {"name": "gaussian", "network": encoder},
                           "decoder": {"name": "bernoulli", "network": decoder}}, "model")  # fmt: skip
    torch.manual_seed(0)
    built = MODELS.build(node, data)
    features, head, render = built.encoder.network, built.encoder.head.out, built.decoder.network
    parameters = [p for module in (features, head, render) for p in module.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=1e-3, fused=True)
    x_all = torch.as_tensor(data.train.x, dtype=torch.float32)

    def epoch() -> None:
        total = torch.zeros(())
        for index in torch.randperm(len(x_all)).split(batch):
            x = x_all[index]
            mu, log_sigma = head(features(x)).chunk(2, -1)
            sigma = log_sigma.exp()
            logits = render(mu + sigma * torch.randn_like(mu))
            distortion = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
            rate = (0.5 * (mu.square() + sigma.square() - 1) - log_sigma).sum()
            loss = (distortion + rate) / len(x)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            total += loss.detach()

    return epoch


def alternate(sides: dict[str, Callable[[], None]], repeats: int) -> dict[str, list[float]]:
    """Seconds per call, the sides taking turns; the first call of each is not counted."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(repeats + 1):
        for name, run in sides.items():
            start = time.perf_counter()
            run()
            if repeat:
                times[name].append(time.perf_counter() - start)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for network, n, batch in (("mlp", 10000, 100), ("conv", 300, 100)):
        data = images(n)
        times = alternate({"library": library(network, data, batch), "bare": bare(network, data, batch)}, arguments.repeats)
        ours, theirs = (statistics.median(times[name]) for name in ("library", "bare"))
        steps = n // batch
        pairs = sorted(a / b for a, b in zip(times["library"], times["bare"], strict=True))
        print(
            f"{network:5} batch {batch}: library {1e3 * ours / steps:.3f} ms/step, bare {1e3 * theirs / steps:.3f} ms/step, "
            f"ratio {ours / theirs:.3f} (median of paired ratios {statistics.median(pairs):.3f}), {arguments.threads} thread(s)"
        )


if __name__ == "__main__":
    main()

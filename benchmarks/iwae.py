"""A training step of the importance-weighted bound with K = 50 against the matrix products it cannot do without.

    python benchmarks/iwae.py              time per step, MLP 784-400-400-40, batch 100: library, plain loops, products alone
    python benchmarks/iwae.py --memory     peak memory against K, whole and in chunks, each in a process of its own

The products are those of one forward and backward pass: three for each layer (none with respect to the data), the decoder's with K times
the rows. All sides take turns in one process; the ratio is the median of neighbouring steps' ratios.
"""

import argparse
import resource
import statistics
import subprocess
import sys
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

HIDDEN, LATENTS, PIXELS, BATCH = 400, 40, 784, 100
NODE = {
    "name": "vae",
    "latent_dim": LATENTS,
    "encoder": {"name": "gaussian", "network": {"name": "mlp", "hidden": [HIDDEN, HIDDEN]}},
    "decoder": {"name": "bernoulli", "network": {"name": "mlp", "hidden": [HIDDEN, HIDDEN]}},
}


def images(n: int) -> Dataset:
    x = (np.random.default_rng(0).random((n, 1, 28, 28)) < 0.13).astype(np.uint8)
    return Dataset("noise", Support.BINARY, Split(x), Split(x[:100]), Split(x[:100]))


def library(samples: int, chunk: int | None) -> Callable[[], None]:
    """One step of the library's loop: an epoch of one batch."""
    data = images(BATCH)
    torch.manual_seed(0)
    model = MODELS.build(MODELS.resolve(NODE, "model"), data)
    setting = Setting(model.event_shape, model.latent_shapes, 10**6, BATCH)
    node = {"name": "iwae", "samples": samples, "chunk": chunk}
    objective = OBJECTIVES.build(OBJECTIVES.resolve(node, "objective"), setting)
    plan = Plan(epochs=10**6, batch_size=BATCH, validate_every=10**6)
    trainer = Trainer(model, objective, data, OPTIMISERS.resolve("adam", "optimiser"), plan, 0)

    def step() -> None:
        trainer.run_epoch()

    return step


def plain(samples: int, from_logits: bool) -> Callable[[], None]:
    """What one would write by hand, the loss from logits or from probabilities."""
    torch.manual_seed(0)
    built = MODELS.build(MODELS.resolve(NODE, "model"), images(BATCH))
    features, head, render = built.encoder.network, built.encoder.head.out, built.decoder.network
    parameters = [p for module in (features, head, render) for p in module.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=1e-3)
    x = torch.as_tensor(images(BATCH).train.x, dtype=torch.float32)

    def step() -> None:
        mu, log_sigma = head(features(x)).chunk(2, -1)
        noise = torch.randn(samples, BATCH, LATENTS)
        z = mu + log_sigma.exp() * noise
        logits = render(z).flatten(2)
        target = x.flatten(1).expand_as(logits)
        if from_logits:
            log_d = -F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(-1)
        else:
            p = torch.sigmoid(logits)
            log_d = (target * torch.log(p + 1e-8) + (1 - target) * torch.log(1 - p + 1e-8)).sum(-1)
        rate = (-0.5 * noise.square() - log_sigma + 0.5 * z.square()).sum(-1)
        loss = -torch.logsumexp(log_d - rate, 0).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def products(samples: int) -> Callable[[], None]:
    """The matrix products of one step, forwards and backwards, with their biases and nothing else."""
    encoder = [(PIXELS, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, 2 * LATENTS)]
    decoder = [(LATENTS, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, PIXELS)]
    layers = [(BATCH, *sizes) for sizes in encoder] + [(samples * BATCH, *sizes) for sizes in decoder]
    operands = [(torch.randn(n, i), torch.randn(o, i), torch.randn(o), torch.randn(n, o)) for n, i, o in layers]

    def step() -> None:
        for position, (x, weight, bias, slope) in enumerate(operands):
            torch.addmm(bias, x, weight.T)
            _ = slope.T @ x
            if position:
                _ = slope @ weight

    return step


def alternate(sides: dict[str, Callable[[], None]], repeats: int) -> dict[str, list[float]]:
    """Seconds per call, the sides taking turns; the first two calls of each are not counted."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(repeats + 2):
        for name, run in sides.items():
            start = time.perf_counter()
            run()
            if repeat > 1:
                times[name].append(time.perf_counter() - start)
    return times


def speed(samples: int, chunk: int, repeats: int) -> None:
    sides = {
        "products alone": products(samples),
        "library": library(samples, None),
        f"library, chunks of {chunk}": library(samples, chunk),
        "plain loop, loss from logits": plain(samples, True),
        "plain loop, loss from probabilities": plain(samples, False),
    }
    with torch.no_grad():
        sides["products alone"]()
    times = alternate(sides, repeats)
    base = times["products alone"]
    for name, seconds in times.items():
        ratio = statistics.median(a / b for a, b in zip(seconds, base, strict=True))
        print(f"{name:36} {1e3 * statistics.median(seconds):7.1f} ms/step, {ratio:.2f} x the products")


def peak(samples: int, chunk: int | None) -> float:
    """MiB that three steps added to the process at their highest."""
    step = library(samples, chunk)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(3):
        step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def memory(threads: int) -> None:
    for samples, chunk in ((25, None), (50, None), (100, None), (200, None), (100, 25), (200, 25)):
        words = [sys.executable, __file__, "--threads", str(threads), "--peak", str(samples), str(chunk or 0)]
        found = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
        print(f"K = {samples:3}, {f'chunks of {chunk}' if chunk else 'whole':13} {float(found):6.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--chunk", type=int, default=10)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--peak", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.peak:
        print(peak(arguments.peak[0], arguments.peak[1] or None))
    elif arguments.memory:
        memory(arguments.threads)
    else:
        speed(arguments.samples, arguments.chunk, arguments.repeats)


if __name__ == "__main__":
    main()

"""The importance-weighted likelihood with K = 5000 against the decoder's own matrix products, and against pythae's ``get_nll``.

    python benchmarks/likelihood.py            MLP 40-300-300-784, 20 binary images; prints samples per second and ratios
    python benchmarks/likelihood.py --profile  our own time, operation by operation

``products``: the decoder's three products with their biases, on as many rows, a thousand at once. pythae 0.1.2 is compared where it is
installed (see pythae_speed.py), by the work of one sample: its own number of samples is not the one asked for, and its sign is another.
All sides take turns in one process, which keeps freed memory as those of ``ratelab evaluate`` do, by one core's own time.
"""

import argparse
import contextlib
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.model import Model
from ratelab.estimators import ESTIMATORS
from ratelab.models import MODELS
from ratelab.runs.memory import keep_freed_memory

HIDDEN, LATENTS, PIXELS, SAMPLES, ROWS = 300, 40, 784, 5000, 1000
MLP = {"name": "mlp", "hidden": [HIDDEN, HIDDEN]}
NODE = {
    "name": "vae",
    "latent_dim": LATENTS,
    "encoder": {"name": "gaussian", "network": MLP},
    "decoder": {"name": "bernoulli", "network": MLP},
}


def images(n: int) -> np.ndarray:
    return (np.random.default_rng(0).random((n, 1, 28, 28)) < 0.13).astype(np.uint8)


def ours(model: Model, x: torch.Tensor) -> Callable[[], None]:
    node = ESTIMATORS.resolve({"name": "iwae", "samples": SAMPLES}, "estimator")

    def run() -> None:
        with torch.no_grad():
            estimator = ESTIMATORS.build(node)
            estimator.observe(model, Batch(x), LiveNoise(0))
            estimator.result()

    return run


def products(rows: int) -> Callable[[], None]:
    sizes = [(LATENTS, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, PIXELS)]
    operands = [(torch.randn(ROWS, i), torch.randn(o, i), torch.randn(o)) for i, o in sizes]

    def run() -> None:
        for _ in range(rows // ROWS):
            for x, weight, bias in operands:
                torch.addmm(bias, x, weight.T)

    return run


def theirs(x: torch.Tensor) -> Callable[[], None] | None:
    """pythae's VAE with the same networks; 100 samples at once, as its default says."""
    with contextlib.suppress(ImportError):
        from pythae.models import VAE, VAEConfig
        from pythae.models.base.base_utils import ModelOutput
        from pythae.models.nn import BaseDecoder, BaseEncoder
        from torch import nn

        class Encoder(BaseEncoder):
            def __init__(self) -> None:
                super().__init__()
                self.layers = nn.Sequential(
                    nn.Flatten(), nn.Linear(PIXELS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU()
                )
                self.mean, self.spread = nn.Linear(HIDDEN, LATENTS), nn.Linear(HIDDEN, LATENTS)

            def forward(self, x: torch.Tensor) -> ModelOutput:
                h = self.layers(x)
                return ModelOutput(embedding=self.mean(h), log_covariance=self.spread(h))

        class Decoder(BaseDecoder):
            def __init__(self) -> None:
                super().__init__()
                self.layers = nn.Sequential(
                    nn.Linear(LATENTS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, PIXELS), nn.Sigmoid()
                )  # fmt: skip

            def forward(self, z: torch.Tensor) -> ModelOutput:
                return ModelOutput(reconstruction=self.layers(z).reshape(-1, 1, 28, 28))

        config = VAEConfig(input_dim=(1, 28, 28), latent_dim=LATENTS, reconstruction_loss="bce")
        model = VAE(config, encoder=Encoder(), decoder=Decoder()).eval()

        def run() -> None:
            with torch.no_grad():
                model.get_nll(x, n_samples=SAMPLES, batch_size=100)

        return run
    return None


def print_shares(run: Callable[[], object]) -> None:
    """The operations on which ``run`` spends its time, each with its share."""
    run()
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        run()
    found = sorted(seen.key_averages(), key=lambda each: -each.self_cpu_time_total)
    total = sum(each.self_cpu_time_total for each in found)
    for each in found[:15]:
        print(f"{each.key:28} {100 * each.self_cpu_time_total / total:5.1f} %")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    data = images(arguments.images)
    split = Split(data)
    model = MODELS.build(MODELS.resolve(NODE, "model"), Dataset("noise", Support.BINARY, split, split, split)).eval()
    x = torch.as_tensor(data, dtype=torch.float32)
    if arguments.profile:
        print_shares(ours(model, x))
        return
    work = arguments.images * SAMPLES
    sides = {"products": products(work), "ours": ours(model, x)}
    other = theirs(x)
    if other is not None:
        sides["pythae"] = other
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(arguments.repeats):
        for name, run in sides.items():
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    for name, values in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(values, seconds["ours"], strict=True))
        print(f"{name:9} {work / statistics.median(values):9.0f} samples/s, {ratio:.2f} times our time")
    share = statistics.median(p / o for p, o in zip(seconds["products"], seconds["ours"], strict=True))
    print(f"ours reaches {100 * share:.0f} % of the products' own speed")


if __name__ == "__main__":
    main()

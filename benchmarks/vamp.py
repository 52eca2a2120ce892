"""Scoring under a VampPrior of 500 pseudo-inputs against the matrix product it needs, (n, 2d) by (2d, 500).

    python benchmarks/vamp.py            prints the ratio of times for n draws of 64 latents, forward, and forward and backward

The components are Gaussians already encoded, as they are once per step. The product alone is what no way of scoring can do
without; what the ratio adds is squaring, weights from means and spreads (once per call), and a log-sum-exp over the components.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ratelab.distributions.gaussians import DiagonalGaussian
from ratelab.distributions.mixtures import GaussianMixture

LATENTS, COMPONENTS, CALLS = 64, 500, 5


def alternate(sides: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Seconds per call, the sides taking turns by blocks of calls: the lower quartile, which a busy machine moves least."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(repeats + 1):
        for name, run in sides.items():
            start = time.perf_counter()
            for _ in range(CALLS):
                run()
            if repeat:
                times[name].append((time.perf_counter() - start) / CALLS)
    return {name: sorted(seconds)[len(seconds) // 4] for name, seconds in times.items()}


def sides(n: int, backward: bool) -> dict[str, Callable[[], object]]:
    torch.manual_seed(0)
    loc = torch.randn(COMPONENTS, LATENTS, requires_grad=backward)
    log_scale = torch.randn(COMPONENTS, LATENTS).mul_(0.1).requires_grad_(backward)
    logits = torch.zeros(COMPONENTS, requires_grad=backward)
    weights = torch.randn(COMPONENTS, 2 * LATENTS, requires_grad=backward)
    z = torch.randn(n, LATENTS, requires_grad=backward)
    both = torch.randn(n, 2 * LATENTS, requires_grad=backward)
    ones = torch.ones(n, COMPONENTS)
    leaves = [p for p in (loc, log_scale, logits, weights, z, both) if p.requires_grad]

    def run(score: Callable[[], Tensor], weigh: Tensor | None = None) -> Callable[[], object]:
        def timed() -> object:
            value = score()
            return torch.autograd.grad(value, leaves, weigh, allow_unused=True) if backward else value

        return timed

    def scored() -> Tensor:
        return GaussianMixture(logits, DiagonalGaussian(loc, log_scale=log_scale)).log_prob(z)

    return {"product": run(lambda: F.linear(both, weights), ones), "scoring": run(scored, torch.ones(n))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=40)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for backward in (False, True):
        for n in (100, 1000, 5000):
            seconds = alternate(sides(n, backward), max(arguments.repeats * 100 // n, 7))
            parts = ", ".join(f"{name} {1e3 * each:.2f} ms" for name, each in seconds.items())
            ratio = seconds["scoring"] / seconds["product"]
            print(f"{'forward and backward' if backward else 'forward':20} n {n:5}: {parts}, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()

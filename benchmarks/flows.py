"""Sampling a masked autoregressive flow and scoring an inverse autoregressive flow at arbitrary points, against zuko's own.

    python benchmarks/flows.py            prints milliseconds and ratios for 4 steps of 64 latents, 3 x 640 hidden units, 100 examples

Both are the sequential direction. Both sides have the same sizes and affine steps; zuko runs its network once per coordinate, the
library computes each hidden unit once. The parallel direction is timed too.
"""

import argparse
import time
from collections.abc import Callable

import torch
import zuko

from ratelab.core.batch import LiveNoise
from ratelab.distributions.flowed import Flowed
from ratelab.distributions.flows.autoregressive import Affine
from ratelab.distributions.flows.step import Composed, Inverse
from ratelab.distributions.gaussians import StandardNormal

LATENTS, STEPS, HIDDEN, EXAMPLES = 64, 4, (640, 640, 640), 100


def alternate(sides: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Seconds per call, the sides taking turns: the lower quartile, which a busy machine moves least."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(repeats + 1):
        for name, run in sides.items():
            start = time.perf_counter()
            run()
            if repeat:
                times[name].append(time.perf_counter() - start)
    return {name: sorted(seconds)[len(seconds) // 4] for name, seconds in times.items()}


def contests() -> dict[str, dict[str, Callable[[], object]]]:
    torch.manual_seed(0)
    steps = Composed(Affine(LATENTS, hidden=HIDDEN) for _ in range(STEPS))
    base = StandardNormal((LATENTS,), torch.zeros(()))
    maf, iaf = Flowed(base, Inverse(steps)), Flowed(base, steps)
    theirs = zuko.flows.MAF(LATENTS, transforms=STEPS, hidden_features=HIDDEN)
    inverse_theirs = zuko.flows.Flow([zuko.lazy.LazyInverse(t) for t in theirs.transform.transforms], theirs.base)
    noise, x = LiveNoise(0), torch.randn(EXAMPLES, LATENTS)
    return {
        "MAF sampling (sequential)": {
            "ours": lambda: maf.draw(noise, EXAMPLES),
            "zuko": lambda: theirs().sample((EXAMPLES,)),
        },
        "MAF scoring (parallel)": {"ours": lambda: maf.log_prob(x), "zuko": lambda: theirs().log_prob(x)},
        "IAF scoring (sequential)": {"ours": lambda: iaf.log_prob(x), "zuko": lambda: inverse_theirs().log_prob(x)},
        "IAF sampling (parallel)": {
            "ours": lambda: iaf.draw(noise, EXAMPLES),
            "zuko": lambda: inverse_theirs().rsample_and_log_prob((EXAMPLES,)),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with torch.no_grad():
        for name, sides in contests().items():
            seconds = alternate(sides, arguments.repeats)
            ours, theirs = seconds["ours"], seconds["zuko"]
            print(f"{name:26}: ours {1e3 * ours:8.1f} ms, zuko {1e3 * theirs:8.1f} ms, ratio {ours / theirs:.3f}")


if __name__ == "__main__":
    main()

"""I_q(y; z) of N draws under N posteriors: one matrix product per class against broadcasting, side by side in one process.

    python benchmarks/label_information.py [--n 10000] [--latents 32] [--classes 10] [--repeats 3]

Broadcasting scores draws in blocks of rows that fit the same memory several times over; it is timed on a part of the rows and scaled
up. Prints the median seconds of each, their ratio, and the largest memory of scores that exists at a time.
"""

import argparse
import math
import time
from statistics import median

import torch
from torch import Tensor

from ratelab.distributions.gaussians import DiagonalGaussian
from ratelab.distributions.mixtures import BLOCK
from ratelab.estimators.label_information import class_log_densities, label_terms

PART, ROWS = 20, 50  # broadcasting is timed on a 20th of the draws, 50 at a time


def broadcast(z: Tensor, law: DiagonalGaussian, labels: Tensor, classes: int) -> Tensor:
    """(n, classes) log densities of some draws, score by score."""
    found = []
    for rows in z.split(ROWS):
        scores = law.log_prob(rows[:, None])
        columns = [scores[:, labels == c].logsumexp(-1) - math.log(max(int((labels == c).sum()), 1)) for c in range(classes)]
        found.append(torch.stack(columns, -1))
    return torch.cat(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("n", 10_000), ("latents", 32), ("classes", 10), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    stream = torch.Generator().manual_seed(0)
    labels = torch.randint(0, given.classes, (given.n,), generator=stream)
    loc = torch.randn(given.n, given.latents, generator=stream)
    law = DiagonalGaussian(loc, log_scale=-1 + 0.3 * torch.randn(loc.shape, generator=stream))
    z = loc + law.scale * torch.randn(loc.shape, generator=stream)
    few = z[: given.n // PART]
    fast, slow = [], []
    for _ in range(given.repeats):
        started = time.perf_counter()
        matrix = class_log_densities(z, law, labels, given.classes)
        fast.append(time.perf_counter() - started)
        started = time.perf_counter()
        direct = broadcast(few, law, labels, given.classes)
        slow.append(PART * (time.perf_counter() - started))
    error = float((matrix[: len(few)] - direct).abs().max())
    information = float(label_terms(matrix, labels).mean())
    print(f"{given.n} draws, {given.n} posteriors, {given.latents} latents, {torch.get_num_threads()} thread(s)")
    print(
        f"matrix form   {median(fast):8.2f} s   {8e-6 * BLOCK * given.n:.0f} MB of scores at most; I = {information:.4f} nats"
    )
    print(f"broadcasting  {median(slow):8.2f} s   {4e-6 * ROWS * given.n * given.latents:.0f} MB at a time")
    print(f"ratio         {median(slow) / median(fast):8.1f}     largest difference {error:.1e} nats")


if __name__ == "__main__":
    main()

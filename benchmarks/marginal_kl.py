"""KL(q(z) || m(z)) by Monte Carlo over all codes, against broadcasting and against the matrix product it needs.

    python benchmarks/marginal_kl.py        60 000 codes, 64 latents, 1000 draws; prints times, ratios, and the float32 error
    python benchmarks/marginal_kl.py --profile   our own time, operation by operation

``broadcast`` forms (draws, codes, latents) differences ten draws at a time, on 30 draws, and is scaled up; ``product`` is the product
(1000, 128) by (128, 60 000) alone, in the same blocks; ``log-sum-exp`` takes torch's logsumexp of blocks of that product.
``--keep-memory`` keeps freed memory in the process, as ``ratelab evaluate`` does: broadcasting spends most of its time on getting it back.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from likelihood import print_shares
from ratelab.divergences.mixture_density import COLUMNS, ROWS, log_sum_others
from ratelab.runs.memory import keep_freed_memory

CODES, LATENTS, DRAWS, FEW = 60_000, 64, 1000, 30


def broadcast(z: Tensor, loc: Tensor, log_scale: Tensor) -> Tensor:
    scale, parts = log_scale.exp(), []
    for few in z.split(10):
        each = -0.5 * ((few.unsqueeze(1) - loc) / scale).square() - log_scale - 0.5 * math.log(2 * math.pi)
        parts.append(each.sum(-1).logsumexp(-1))
    return torch.cat(parts)


def product(rows: Tensor, weights: Tensor, bias: Tensor, buffer: Tensor) -> None:
    for block in rows.split(ROWS):
        for left in range(0, len(weights), COLUMNS):
            part = weights[left : left + COLUMNS]
            out = buffer.flatten()[: len(block) * len(part)].view(len(block), len(part))
            torch.addmm(bias[left : left + COLUMNS], block, part.mT, out=out)


def plain(rows: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
    return torch.cat([torch.addmm(bias, block, weights.mT).logsumexp(-1) for block in rows.split(64)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--keep-memory", action="store_true")
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    if arguments.keep_memory:
        keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    loc = torch.randn(CODES, LATENTS)
    log_scale = -1 + 0.5 * torch.randn(CODES, LATENTS)
    own = torch.arange(DRAWS)
    z = loc[own] + log_scale[own].exp() * torch.randn(DRAWS, LATENTS)
    rows, weights, bias = torch.randn(DRAWS, 2 * LATENTS), torch.randn(CODES, 2 * LATENTS), torch.randn(CODES)
    buffer = torch.empty(ROWS, COLUMNS)
    nobody = torch.full((DRAWS,), -1)
    sides: dict[str, Callable[[], object]] = {
        "ours": lambda: log_sum_others(z, loc, log_scale, nobody),
        "product": lambda: product(rows, weights, bias, buffer),
        "log-sum-exp": lambda: plain(rows, weights, bias),
        "broadcast": lambda: broadcast(z[:FEW], loc, log_scale),
    }
    if arguments.profile:
        print_shares(sides["ours"])
        return
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(arguments.repeats):
        for name, run in sides.items():
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    median["broadcast"] *= DRAWS / FEW
    for name, value in median.items():
        print(f"{name:12} {value:8.3f} s of CPU, {value / median['ours']:7.2f} times ours")
    print(f"ours reaches {100 * median['product'] / median['ours']:.0f} % of the product's own speed")
    exact = log_sum_others(z[:FEW].double(), loc.double(), log_scale.double(), nobody[:FEW])
    error = (log_sum_others(z[:FEW], loc, log_scale, nobody[:FEW]) - exact).abs().max()
    print(f"largest error of float32 against float64: {float(error):.1e} nats")


if __name__ == "__main__":
    main()

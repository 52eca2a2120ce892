"""Many models at once against one after another: model-images per second, side by side in one run, medians.

    python benchmarks/stack.py                     digits 64-64-8 (M = 8, 32) and 784-400-40 (M = 8), batch 128

"one after another" is the library's own loop over single models on all cores; "stacks" is one stack of M models in each of as many
single-threaded processes as there are cores. The sides take turns, so that the machine's mood hits both.
"""

import argparse
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np
import torch

from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.objective import Setting
from ratelab.models import MODELS
from ratelab.objectives import OBJECTIVES
from ratelab.training import OPTIMISERS, Plan, StackTrainer, Trainer

BATCH = 128
CASES = {"64-64-8": (64, 64, 8, 40 * BATCH), "784-400-40": (784, 400, 40, 10 * BATCH)}


def member(case: str, seed: int) -> Trainer:
    """One VAE with a single hidden layer on either side, on random binary images, that never validates."""
    pixels, width, latents, examples = CASES[case]
    x = (np.random.default_rng(0).random((examples, pixels)) < 0.3).astype(np.uint8)
    data = Dataset("noise", Support.BINARY, Split(x), Split(x[:10]), Split(x[:10]))
    network = {"name": "mlp", "hidden": [width]}
    node = {"name": "vae", "latent_dim": latents, "encoder": {"name": "gaussian", "network": network},
            "decoder": {"name": "bernoulli", "network": network}}  # fmt: skip
    torch.manual_seed(seed)
    model = MODELS.build(MODELS.resolve(node, "model"), data)
    setting = Setting(model.event_shape, model.latent_shapes, 10**6, examples)
    objective = OBJECTIVES.build(OBJECTIVES.resolve({"name": "beta", "beta": 0.1 + seed}, "objective"), setting)
    plan = Plan(epochs=10**6, batch_size=BATCH, validate_every=10**6)
    return Trainer(model, objective, data, OPTIMISERS.resolve("adam", "optimiser"), plan, seed)


def stacked(case: str, size: int) -> Callable[[], int]:
    """One epoch of a stack; returns the model-images it saw."""
    stack = StackTrainer({str(seed): member(case, seed) for seed in range(size)})

    def epoch() -> int:
        stack.run_epoch()
        return size * CASES[case][3]

    return epoch


def one_by_one(case: str, size: int) -> Callable[[], int]:
    """One epoch of every model, one model after another."""
    members = [member(case, seed) for seed in range(size)]

    def epoch() -> int:
        for each in members:
            each.run_epoch()
        return size * CASES[case][3]

    return epoch


def serve(connection: Connection, make: Callable[[str, int], Callable[[], int]], case: str, size: int, threads: int) -> None:
    """A process that runs an epoch whenever it is told to."""
    torch.set_num_threads(threads)
    epoch = make(case, size)
    epoch()
    connection.send("ready")
    while connection.recv():
        connection.send(epoch())


class Side:
    """``processes`` of ``threads`` threads each that work at the same time."""

    def __init__(
        self, make: Callable[[str, int], Callable[[], int]], case: str, size: int, processes: int, threads: int
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self.ends: list[Connection] = []
        for _ in range(processes):
            ours, theirs = context.Pipe()
            context.Process(target=serve, args=(theirs, make, case, size, threads), daemon=True).start()
            self.ends.append(ours)
        for end in self.ends:
            end.recv()

    def measure(self) -> float:
        """Model-images per second of one epoch everywhere."""
        started = time.perf_counter()
        for end in self.ends:
            end.send(True)
        images = sum(end.recv() for end in self.ends)
        return images / (time.perf_counter() - started)

    def close(self) -> None:
        """End the processes."""
        for end in self.ends:
            end.send(False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    cores = arguments.cores
    for case, size in (("64-64-8", 8), ("64-64-8", 32), ("784-400-40", 8)):
        sides = {
            "one after another": Side(one_by_one, case, 4 if case == "64-64-8" else 2, 1, cores),
            "one process per core": Side(one_by_one, case, 4 if case == "64-64-8" else 2, cores, 1),
            "one stack, one core": Side(stacked, case, size, 1, 1),
            "stacks": Side(stacked, case, size, cores, 1),
        }
        speeds: dict[str, list[float]] = {name: [] for name in sides}
        load = os.getloadavg()[0]
        for _ in range(arguments.repeats):
            for name, side in sides.items():
                speeds[name].append(side.measure())
        for side in sides.values():
            side.close()
        base = statistics.median(speeds["one after another"])
        print(f"{case}, M = {size}, batch {BATCH}, {cores} cores, load at the start {load:.1f}")
        for name, values in speeds.items():
            pairs = [value / one for value, one in zip(values, speeds["one after another"], strict=True)]
            middle = statistics.median(values)
            print(
                f"  {name:21} {middle:12,.0f} model-images/s   x{middle / base:.2f} (median of pairs x{statistics.median(pairs):.2f})"
            )


if __name__ == "__main__":
    main()

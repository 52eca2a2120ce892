"""Many models at once against one after another: model-images per second, side by side in one run, medians.

    python benchmarks/stack.py                     digits 64-64-8 (M = 8, 32) and 784-400-40 (M = 8), batch 128
    python benchmarks/stack.py --device cuda       the same on a GPU, where one process trains all

"one after another" is the library's own loop over single models on all cores; "stacks" is one stack of M models in each of as many
single-threaded processes as there are cores, as a sweep's workers train them. The sides take turns, so that the machine's mood hits all.
"""

import argparse
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch

from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.objective import Setting
from ratelab.models import MODELS
from ratelab.objectives import OBJECTIVES
from ratelab.runs.memory import keep_freed_memory
from ratelab.training import OPTIMISERS, Plan, Precision, StackTrainer, Trainer

BATCH = 128
Epoch = Callable[[], int]
"""Trains for an epoch and returns the images that were seen."""
CASES = {"64-64-8": (64, 64, 8, 40 * BATCH), "784-400-40": (784, 400, 40, 10 * BATCH)}


def member(case: str, seed: int, precision: Precision, device: str) -> Trainer:
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
    plan = Plan(epochs=10**6, batch_size=BATCH, validate_every=10**6, precision=precision)
    return Trainer(model, objective, data, OPTIMISERS.resolve("adam", "optimiser"), plan, seed, device)


def stacked(case: str, size: int, precision: Precision, device: str) -> Epoch:
    """One epoch of a stack; returns the model-images it saw."""
    keep_freed_memory()
    stack = StackTrainer({str(seed): member(case, seed, precision, device) for seed in range(size)})

    def epoch() -> int:
        stack.run_epoch()
        return size * CASES[case][3]

    return epoch


def one_by_one(case: str, size: int, precision: Precision, device: str) -> Epoch:
    """One epoch of every model, one model after another."""
    members = [member(case, seed, precision, device) for seed in range(size)]

    def epoch() -> int:
        for each in members:
            each.run_epoch()
        return size * CASES[case][3]

    return epoch


def serve(connection: Connection, make: Callable[..., Epoch], arguments: tuple[Any, ...], threads: int) -> None:
    """A process that runs an epoch whenever it is told to."""
    torch.set_num_threads(threads)
    epoch = make(*arguments)
    epoch()
    connection.send("ready")
    while connection.recv():
        connection.send(epoch())


class Side:
    """``processes`` of ``threads`` threads each that work at the same time on what ``make(*arguments)`` gives."""

    def __init__(self, make: Callable[..., Epoch], arguments: tuple[Any, ...], processes: int, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.ends: list[Connection] = []
        for _ in range(processes):
            ours, theirs = context.Pipe()
            context.Process(target=serve, args=(theirs, make, arguments, threads), daemon=True).start()
            self.ends.append(ours)
        for end in self.ends:
            end.recv()

    def measure(self) -> float:
        """Images per second of one epoch everywhere."""
        started = time.perf_counter()
        for end in self.ends:
            end.send(True)
        images = sum(end.recv() for end in self.ends)
        return images / (time.perf_counter() - started)

    def close(self) -> None:
        """End the processes."""
        for end in self.ends:
            end.send(False)


def take_turns(sides: Mapping[str, Side], repeats: int) -> dict[str, list[float]]:
    """Every side's speeds, measured in turn; the sides' processes are over afterwards."""
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, side in sides.items():
            speeds[name].append(side.measure())
    for side in sides.values():
        side.close()
    return speeds


def report(title: str, unit: str, speeds: Mapping[str, list[float]]) -> None:
    """Medians, and how many times the first side's."""
    base = next(iter(speeds.values()))
    print(f"{title}, load {os.getloadavg()[0]:.1f}")
    for name, values in speeds.items():
        pairs = statistics.median(value / one for value, one in zip(values, base, strict=True))
        middle = statistics.median(values)
        print(f"  {name:24} {middle:12,.0f} {unit}   x{middle / statistics.median(base):.2f} (median of pairs x{pairs:.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    device, cores = arguments.device, 1 if arguments.device == "cuda" else arguments.cores
    for case, size in (("64-64-8", 8), ("64-64-8", 32), ("784-400-40", 8)):
        few = (case, 4 if case == "64-64-8" else 2, "float32", device)
        sides = {
            "one after another": Side(one_by_one, few, 1, cores),
            "stacks": Side(stacked, (case, size, "float32", device), cores, 1),
            "stacks, bf16": Side(stacked, (case, size, "bf16", device), cores, 1),
        }
        if cores > 1:
            sides["one process per core"] = Side(one_by_one, few, cores, 1)
            sides["one stack, one core"] = Side(stacked, (case, size, "float32", device), 1, 1)
        report(f"{case}, M = {size}, batch {BATCH}, {cores} cores", "model-images/s", take_turns(sides, arguments.repeats))


if __name__ == "__main__":
    main()

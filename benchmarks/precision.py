"""Held-out D + beta R of networks trained in bfloat16 against float32: static MNIST, MLP 784-400-40, the same seeds on both sides.

    python benchmarks/precision.py                                     10 000 training images, 10 epochs, three seeds: two minutes
    python benchmarks/precision.py --examples 50000 --epochs 20        all of them

The seeds of a side train as one stack. Both sides start from the same weights and see the same batches and the same noise, so the
difference of a pair is what the arithmetic makes, and what small changes of it grow into. Evaluation is float32.
"""

import argparse
import dataclasses
import statistics

import torch

from ratelab.core.dataset import Dataset, Split
from ratelab.evaluation import evaluate
from ratelab.runs import Circumstances, Recipe, read_recipe, single
from ratelab.runs.assemble import build_trainer
from ratelab.runs.memory import keep_freed_memory
from ratelab.training import StackTrainer

NETWORK = ("model.encoder.network.hidden=[400]", "model.decoder.network.hidden=[400]")
OPTIMISER = ("optimiser.lr=1e-3", "optimiser.constant=0.6", "training.batch_size=128")


def recipe(seed: int, precision: str, beta: float, epochs: int) -> Recipe:
    changes = (f"seed={seed}", f"training.precision={precision}", f"objective.beta={beta}", f"training.epochs={epochs}")
    return single(read_recipe("mnist/vae"), (*NETWORK, *OPTIMISER, f"training.validate_every={epochs}", *changes))


def part(data: Dataset, examples: int) -> Dataset:
    """The first training images, a few validation images, which nothing looks at, and the whole test split."""
    return dataclasses.replace(data, train=Split(data.train.x[:examples]), validation=Split(data.validation.x[:500]))


def measured(seeds: range, precision: str, beta: float, epochs: int, examples: int) -> list[tuple[float, float]]:
    """Rate and distortion on the test split of one run for each seed, trained as a stack."""
    recipes = [recipe(seed, precision, beta, epochs) for seed in seeds]
    data = part(Circumstances().dataset(recipes[0]), examples)
    members = [build_trainer(each, data, torch.device("cpu")) for each in recipes]
    stack = StackTrainer({str(seed): member for seed, member in zip(seeds, members, strict=True)})
    while not stack.done:
        stack.run_epoch()
    found = []
    for member in members:
        estimates, _ = evaluate(member.model, data, "test", recipes[0].evaluation.estimators, 0)
        found.append((estimates["rate"].value, estimates["distortion"].value))  # type: ignore[union-attr]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--betas", type=float, nargs="+", default=[1.0])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    seeds, size = range(arguments.seeds), (arguments.epochs, arguments.examples)
    for beta in arguments.betas:
        rounded, plain = (measured(seeds, precision, beta, *size) for precision in ("bf16", "float32"))
        print(f"beta {beta:g}, {arguments.examples} images, {arguments.epochs} epochs; test split, nats: R, D, D + beta R")
        gaps = []
        for seed, ours, theirs in zip(seeds, rounded, plain, strict=True):
            totals = [distortion + beta * rate for rate, distortion in (ours, theirs)]
            gaps.append(totals[0] - totals[1])
            sides = [f"{r:.2f}, {d:.2f}, {total:.2f}" for (r, d), total in zip((ours, theirs), totals, strict=True)]
            print(f"  seed {seed}: bf16 {sides[0]}; float32 {sides[1]}; difference {gaps[-1]:+.3f}", flush=True)
        spread = statistics.stdev(gaps) / len(gaps) ** 0.5 if len(gaps) > 1 else float("nan")
        print(f"  mean difference {statistics.mean(gaps):+.3f} +- {spread:.3f} nats")


if __name__ == "__main__":
    main()

"""Convolutional networks, many runs: one after another against one process per core, wide weights channels last, bfloat16.

    python benchmarks/convolutions.py              Alemi et al.'s "--" network, Xiao and Bamler's MNIST network, as their recipes say

Images per second of training, the library's own loop on random binary 28x28 images, side by side in one run, medians. "one after
another" is float32 on all cores with the weights as PyTorch makes them; "as laid out" is how the library lays them out on a CPU;
"one process per core" is what a sweep does. The sides take turns, so that the machine's mood hits all.
"""

import argparse
import os

import numpy as np
import torch
from torch import nn

from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.objective import Setting
from ratelab.models import MODELS
from ratelab.objectives import OBJECTIVES
from ratelab.runs import read_recipe, single
from ratelab.training import Plan, Precision, Trainer
from stack import Epoch, Side, report, take_turns

CASES = {"alemi2018/minus-minus-normal": 3, "xiao2023/mnist": 40}  # recipe: steps of an epoch


def images(n: int) -> Dataset:
    x = (np.random.default_rng(0).random((n, 1, 28, 28)) < 0.13).astype(np.uint8)
    return Dataset("noise", Support.BINARY, Split(x), Split(x[:10]), Split(x[:10]))


def trainer(case: str, precision: Precision) -> Trainer:
    """A training of the recipe's model under its objective and optimiser, that never validates."""
    recipe = single(read_recipe(case))
    batch = recipe.training.batch_size
    data = images(CASES[case] * batch)
    torch.manual_seed(0)
    model = MODELS.build(recipe.model, data)
    setting = Setting(model.event_shape, model.latent_shapes, 10**6, len(data.train))
    objective = OBJECTIVES.build(recipe.objective, setting)
    plan = Plan(epochs=10**6, batch_size=batch, validate_every=10**6, precision=precision)
    return Trainer(model, objective, data, recipe.optimiser, plan, 0)


def epochs(case: str, precision: Precision, contiguous: bool) -> Epoch:
    """One epoch; returns the images it saw."""
    each = trainer(case, precision)
    if contiguous:
        for module in each.model.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                module.to(memory_format=torch.contiguous_format)

    def epoch() -> int:
        each.run_epoch()
        return len(each.train_loader.x)

    return epoch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    cores = arguments.cores
    for case in CASES:
        sides = {
            "one after another": Side(epochs, (case, "float32", True), 1, cores),
            "the same, as laid out": Side(epochs, (case, "float32", False), 1, cores),
            "one process per core": Side(epochs, (case, "float32", False), cores, 1),
            "the same, bf16": Side(epochs, (case, "bf16", False), cores, 1),
        }
        report(f"{case}, {cores} cores", "images/s", take_turns(sides, arguments.repeats))


if __name__ == "__main__":
    main()

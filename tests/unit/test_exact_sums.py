"""Training on a law instead of a sample: weights of the training split, and epochs of several passes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ratelab.core.batch import LiveNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.data import load, toy
from ratelab.runs import expand, from_mapping
from ratelab.runs.assemble import build_trainer
from ratelab.training import StackTrainer, Trainer
from ratelab.training.loader import Loader

RECIPE = {
    "data": "toy",
    "model": {"name": "toy", "init": 0.3},
    "objective": {"name": "beta", "beta": 0.7},
    "optimiser": {"name": "adam", "lr": 0.05},
    "training": {"epochs": 3, "passes": 4, "batch_size": 30},
}


def trainers(*changes: str) -> dict[str, Trainer]:
    runs = expand(from_mapping(RECIPE, "test"), changes)
    return {str(run.seed): build_trainer(run, load("toy"), torch.device("cpu")) for run in runs}


def test_what_is_logged_in_training_is_the_exact_sum_over_the_law() -> None:
    (trainer,) = trainers("training.passes=1").values()
    law = torch.as_tensor(toy.joint().sum(0))
    tables = trainer.model.tables(law)
    row = trainer.run_epoch()
    assert row["train/rate"] == pytest.approx(float(tables.rate), abs=1e-6)
    assert row["train/distortion"] == pytest.approx(float(tables.distortion), abs=1e-6)
    assert row["train/loss"] == pytest.approx(float(tables.distortion + 0.7 * tables.rate), abs=1e-6)


def test_a_stack_sums_over_the_law_as_each_of_its_members_does_alone() -> None:
    alone, together = trainers("seed=0,1,2"), trainers("seed=0,1,2")
    stack = StackTrainer(together)
    for _ in range(3):
        rows = stack.run_epoch()
        for seed, trainer in alone.items():
            row = trainer.run_epoch()
            for name in ("train/loss", "train/rate", "validation/distortion"):
                assert rows[seed][name] == pytest.approx(row[name], rel=1e-5), (seed, name)


def test_an_epoch_of_several_passes_sees_every_example_that_often() -> None:
    split = Split(np.arange(10, dtype=np.float32))
    dataset = Dataset("ten", Support.REAL, split, split, split)
    batches = list(Loader(dataset, split, 4, passes=3).shuffled(LiveNoise(0), epoch=2))
    assert torch.cat([batch.x for batch in batches]).sort().values.tolist() == sorted([*range(10)] * 3)
    assert [batch.epoch for batch in batches] == pytest.approx([2 + i / 9 for i in range(9)])
    assert [batch.size for batch in batches] == [4, 4, 2] * 3
    assert not batches[0].x.equal(batches[3].x), "each pass has an order of its own"


def test_a_law_is_summed_over_whole_and_never_measured_on() -> None:
    with pytest.raises(UserError, match=r"training\.batch_size: 'toy' is summed over all its 30 states in every step; give 30"):
        trainers("training.batch_size=29")
    whole = load("toy")
    with pytest.raises(UserError, match="weights belong to the training split"):
        replace(whole, test=whole.train)
    with pytest.raises(UserError, match="one for each of its examples"):
        replace(whole, train=Split(whole.train.x, None, np.ones(3)))


def test_weights_are_part_of_what_the_data_is() -> None:
    whole = load("toy")
    assert whole.train.weight is not None
    other = replace(whole, train=replace(whole.train, weight=whole.train.weight[::-1].copy()))
    bare = replace(whole, train=replace(whole.train, weight=None))
    assert len({whole.digest, other.digest, bare.digest}) == 3

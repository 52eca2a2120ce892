"""Estimators of few examples of each batch: these are worked on together, and a bar hears of the steps inside."""

from typing import Any

import pytest
import torch
from linear import linear_model, world

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.errors import UserError
from ratelab.estimators import ESTIMATORS
from ratelab.evaluation import evaluate

SMALL = {"chains": 2, "temperatures": 3, "leapfrogs": 2}
NAMES = ("ais", "bidirectional", "annealed-curve")


def observed(name: str, every: int, batch_size: int, n: int = 60) -> tuple[Any, list[int]]:
    """An estimator that saw ``n`` examples, and how many it worked on at once each time."""
    exact, dataset = world(1.0, n=n)
    model, noise = linear_model(exact, dataset), LiveNoise(0)
    estimator: Any = ESTIMATORS.build(ESTIMATORS.resolve({"name": name, "every": every, **SMALL}, "e"))
    sizes, work = [], estimator.work

    def counted(model: Any, x: torch.Tensor, noise: Any) -> None:
        sizes.append(len(x))
        work(model, x, noise)

    estimator.work = counted
    with torch.no_grad():
        for rows in torch.arange(n).split(batch_size):
            estimator.observe(model, Batch(torch.as_tensor(dataset.test.x)[rows], rows), noise)
        estimator.result()
    return estimator, sizes


@pytest.mark.parametrize("name", NAMES)
def test_few_examples_of_each_batch_wait_until_they_fill_one(name: str) -> None:
    assert observed(name, 5, 10)[1] == [10, 2], "two of each of six batches"
    assert observed(name, 1, 25)[1] == [25, 25, 10], "all of a batch are worked on as it comes"
    assert observed(name, 50, 7)[1] == [2], "what waits at the end is not forgotten"


def test_waiting_changes_which_noise_an_example_meets_and_nothing_else() -> None:
    """With the same seed: what was gathered is measured as if it had come as one batch."""
    gathered, _ = observed("ais", 5, 12)
    exact, dataset = world(1.0, n=60)
    model, noise = linear_model(exact, dataset), LiveNoise(0)
    whole: Any = ESTIMATORS.build(ESTIMATORS.resolve({"name": "ais", **SMALL}, "e"))
    with torch.no_grad():
        whole.observe(model, Batch(torch.as_tensor(dataset.test.x[::5])), noise)
    assert gathered.result() == whole.result()
    assert gathered.result()["ais"].n == 12, "asked for twice, measured once"


def test_parts_that_still_wait_merge() -> None:
    exact, dataset = world(1.0, n=60)
    model, x = linear_model(exact, dataset), torch.as_tensor(dataset.test.x)
    left, right = (ESTIMATORS.build(ESTIMATORS.resolve({"name": "ais", "every": 5, **SMALL}, "e")) for _ in range(2))
    with torch.no_grad():
        for part, rows in ((left, slice(30)), (right, slice(30, 60))):
            part.observe(model, Batch(x[rows], torch.arange(60)[rows]), LiveNoise(0))
        left.merge(right)
        assert left.result() == observed("ais", 5, 30)[0].result()


def test_a_bar_hears_of_batches_and_of_the_steps_inside() -> None:
    exact, dataset = world(1.0, n=30)
    told: list[tuple[int, int, str]] = []

    def tick(done: int, total: int, note: str = "") -> None:
        told.append((done, total, note))

    node = ESTIMATORS.resolve({"name": "ais", **SMALL}, "e")
    evaluate(linear_model(exact, dataset), dataset, "test", [node], seed=0, batch_size=20, tick=tick)
    steps = [f"step {i} of 3" for i in (1, 2, 3)]
    inside = [(0, 2, note) for note in ["", *steps]] + [(1, 2, note) for note in ["", *steps]]
    assert told == [*inside, (2, 2, "")], "all is done when the last examples are"


@pytest.mark.parametrize("name", [*NAMES, "iwae"])
def test_one_in_more_than_there_are_is_refused_since_one_example_has_no_error(name: str) -> None:
    exact, dataset = world(1.0, n=30)
    model = linear_model(exact, dataset)
    small = {"samples": 2} if name == "iwae" else SMALL

    def n(every: int) -> int:
        node = ESTIMATORS.resolve({"name": name, "every": every, **small}, "e")
        found = next(iter(evaluate(model, dataset, "test", [node], seed=0)[0].values()))
        return (found[0] if isinstance(found, list) else found).n

    assert (n(1), n(29)) == (30, 2)
    with pytest.raises(UserError, match=f"'{name}' with these options needs at least 31 examples, and the test split"):
        n(30)

"""Convolutional weights lie channels last on a CPU: faster, the same results, and nothing of it in any file."""

import pytest
import torch
from safetensors.torch import load
from test_stack import alone, assert_close, stacked, trainer
from tiny_runs import Counted
from torch import nn

from ratelab.training import Trainer, layout
from ratelab.training.layout import lay_out

CONV = "vae, gated convolutions"
LAST = torch.channels_last


@pytest.fixture(autouse=True)
def small_is_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of a few channels count as wide here, so that a test takes no time."""
    monkeypatch.setattr(layout, "WIDE", 2)


def convolutions(member: Trainer) -> list[nn.Module]:
    return [m for m in member.model.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))]


def contiguous(member: Trainer) -> Trainer:
    for module in convolutions(member):
        module.to(memory_format=torch.contiguous_format)
    return member


def test_convolutions_are_laid_out_and_train_as_before() -> None:
    ours, theirs = trainer(CONV, epochs=5), contiguous(trainer(CONV, epochs=5))
    assert all(m.weight.is_contiguous(memory_format=LAST) for m in convolutions(ours))
    assert not any(m.weight.is_contiguous(memory_format=LAST) for m in convolutions(theirs) if min(m.weight.shape) > 1)
    assert_close(alone(ours), alone(theirs))


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_convolutional_training_cut_and_continued_is_bit_identical(precision: str) -> None:
    whole, first, again = (trainer(CONV, epochs=6, precision=precision) for _ in range(3))
    rows = alone(whole)
    for _ in range(3):
        first.run_epoch()
    again.restore(first.save())
    for optimiser in again.optimisers:
        for parameter in optimiser.parameters:
            assert optimiser.inner.state[parameter]["exp_avg"].stride() == parameter.stride()
    assert alone(again) == rows[3:]
    assert again.save() == whole.save()


def test_a_stack_leaves_its_members_as_they_would_be_alone() -> None:
    members = [trainer(CONV, seed=seed, epochs=3) for seed in range(2)]
    stacked(members)
    lone = trainer(CONV, seed=1, epochs=3)
    alone(lone)
    ours, theirs = load(members[1].weights()), load(lone.weights())
    assert all(torch.allclose(ours[name], theirs[name], rtol=1e-3, atol=1e-5) for name in theirs)


def test_a_network_that_is_mostly_narrow_keeps_its_layout() -> None:
    wide, narrow = nn.Conv2d(4, 4, 3), nn.Conv2d(1, 40, 3)
    lay_out(nn.Sequential(wide, narrow))
    assert wide.weight.is_contiguous()
    lay_out(nn.Sequential(wide, nn.Conv2d(1, 4, 3)))
    assert wide.weight.is_contiguous(memory_format=LAST)


def test_code_of_the_users_own_keeps_the_layout_it_may_count_on(tmp_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTED", f"{tmp_path}/counted")
    ours, theirs = nn.Sequential(nn.Conv2d(2, 3, 3)), nn.Sequential(nn.Conv2d(2, 3, 3), Counted())
    lay_out(ours)
    lay_out(theirs)
    assert ours[0].weight.is_contiguous(memory_format=LAST)
    assert theirs[0].weight.is_contiguous()

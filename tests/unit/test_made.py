"""MADE: what may depend on what, by automatic differentiation, and the one-pass way of filling coordinates in."""

import pytest
import torch

from ratelab.networks.made import Degrees, Made

D = 6
KINDS = pytest.mark.parametrize("degrees", ["even", "random"])


def net(degrees: Degrees = "even", context: int = 0, hidden: tuple[int, ...] = (40, 40), outputs: int = 2) -> Made:
    torch.manual_seed(0)
    return Made(D, outputs, hidden=hidden, context=context, degrees=degrees, seed=3).double()


@pytest.mark.spec("VF42")
@KINDS
def test_an_output_depends_on_exactly_the_coordinates_before_it(degrees: Degrees) -> None:
    made = net(degrees)
    jacobian = torch.zeros(D, D)
    for seed in range(20):
        x = torch.randn(D, generator=torch.Generator().manual_seed(seed)).double()
        jacobian += torch.autograd.functional.jacobian(made, x).abs().sum(1)
    assert (jacobian.triu() == 0).all()
    assert (jacobian[torch.ones(D, D).tril(-1).bool()] > 0).all()


@pytest.mark.spec("VF42")
@KINDS
def test_masks_follow_the_degrees(degrees: Degrees) -> None:
    made = net(degrees)
    ladder = made.degrees
    assert ladder[0] == (1, 2, 3, 4, 5, 6)
    assert all(1 <= d <= D - 1 for row in ladder[1:] for d in row)
    for position, layer in enumerate(made.layers):
        for to, row in enumerate(layer.mask):
            for source, kept in enumerate(row):
                assert bool(kept) == (ladder[position + 1][to] >= ladder[position][source])
    for to, row in enumerate(made.out.mask):
        for source, kept in enumerate(row):
            assert bool(kept) == (to // 2 + 1 > ladder[-1][source])


@KINDS
@pytest.mark.parametrize("context", [0, 3])
@pytest.mark.parametrize("hidden", [(), (40,), (40, 40)])
def test_filling_in_equals_a_full_pass_per_coordinate(degrees: Degrees, context: int, hidden: tuple[int, ...]) -> None:
    made = net(degrees, context, hidden)
    e, h = torch.randn(3, 4, D).double(), torch.randn(4, context).double() if context else None
    filled = made.unroll(lambda i, out: e[..., i] * out[..., 1].exp() + out[..., 0], (3, 4), h)
    x = torch.zeros_like(e)
    for i in range(D):
        out = made(x, h)[..., i, :]
        x[..., i] = e[..., i] * out[..., 1].exp() + out[..., 0]
    assert torch.allclose(filled, x)


def test_the_context_reaches_every_output() -> None:
    made, x = net(context=3), torch.randn(D).double()
    jacobian = torch.autograd.functional.jacobian(lambda h: made(x, h), torch.randn(3).double())
    assert (jacobian.abs().sum(-1) > 0).all()


def test_random_degrees_are_the_same_for_the_same_seed() -> None:
    assert net("random").degrees == net("random").degrees
    assert net("random").degrees != net("even").degrees


def test_a_single_coordinate_sees_nothing() -> None:
    made = Made(1, 1, hidden=(8,)).double()
    assert torch.equal(made(torch.zeros(1).double()), made(torch.ones(1).double()))


@pytest.mark.spec("RD32")
def test_a_step_of_three_times_640_has_the_published_size() -> None:
    assert sum(p.numel() for p in Made(64).parameters()) == 903_104

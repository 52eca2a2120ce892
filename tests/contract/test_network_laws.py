"""Laws that every network of the tables obeys: leading axes, examples that do not see each other, sound gradients, saving."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ratelab.core.errors import UserError
from ratelab.core.table import Table
from ratelab.networks import FEATURES, RENDERERS

SHAPES = [(1, 28, 28), (1, 8, 8), (3, 32, 32), (3, 64, 64), (3, 28, 28), (12,)]
LATENTS = (5,)
Case = tuple[nn.Module, tuple[int, ...], tuple[int, ...]]
"""A network, the shape of what goes in, and the shape of what comes out."""


def narrow(table: Table, name: str) -> dict[str, object]:
    """A node with small widths where the network has an option for them."""
    fields = table[name].schema.model_fields
    small = {"width": 8, "hidden": [16]}
    return {"name": name, **{key: value for key, value in small.items() if key in fields}}


def first_that_fits(table: Table, name: str, build: Callable[[dict[str, object], tuple[int, ...]], Case]) -> Case:
    node = table.resolve(narrow(table, name), "network")
    for shape in SHAPES:
        try:
            torch.manual_seed(0)
            return build(node, shape)
        except UserError:
            continue
    raise AssertionError(f"'{name}' takes none of {SHAPES}")


def features(name: str) -> Case:
    def build(node: dict[str, object], shape: tuple[int, ...]) -> Case:
        network = FEATURES.build(node, shape)
        return network, shape, (network.features,)

    return first_that_fits(FEATURES, name, build)


def renderer(name: str) -> Case:
    return first_that_fits(RENDERERS, name, lambda node, shape: (RENDERERS.build(node, LATENTS, shape), LATENTS, shape))


CASES: dict[str, Callable[[], Case]] = {
    **{f"features {name}": lambda name=name: features(name) for name in FEATURES if name != "custom"},
    **{f"renderer {name}": lambda name=name: renderer(name) for name in RENDERERS if name != "custom"},
}
ALL = pytest.mark.parametrize("case", CASES)


def inputs(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


@ALL
def test_any_number_of_leading_axes(case: str) -> None:
    network, given, made = CASES[case]()
    network.eval()
    x = inputs(2, 3, *given)
    out = network(x)
    assert tuple(out.shape) == (2, 3, *made)
    assert torch.allclose(out[1], network(x[1]), atol=1e-5)


@ALL
def test_examples_do_not_see_each_other_in_evaluation(case: str) -> None:
    network, given, _ = CASES[case]()
    network.eval()
    x = inputs(4, *given)
    assert torch.allclose(network(x)[:2], network(x[:2]), atol=1e-5)


@ALL
def test_gradients_are_finite_at_the_start_and_reach_every_parameter(case: str) -> None:
    network, given, _ = CASES[case]()
    x = inputs(3, *given).requires_grad_()
    network(x).square().sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    for name, p in network.named_parameters():
        assert p.grad is not None, name
        assert p.grad.isfinite().all(), name


@ALL
def test_float32_stays_near_float64(case: str) -> None:
    network, given, _ = CASES[case]()
    network.eval()
    x = inputs(3, *given)
    single = network(x).double()
    assert torch.allclose(single, network.double()(x.double()), rtol=1e-3, atol=1e-4)


@ALL
def test_weights_alone_make_the_network(case: str) -> None:
    network, given, _ = CASES[case]()
    twin, _, _ = CASES[case]()
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.1 * torch.randn_like(p))
    twin.load_state_dict(network.state_dict())
    x = inputs(2, *given)
    assert torch.equal(network.eval()(x), twin.eval()(x))

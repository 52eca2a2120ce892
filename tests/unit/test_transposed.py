"""The transposed convolution by way of a convolution's gradient: PyTorch's own, forwards, backwards and twice backwards."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from ratelab.networks import transposed
from ratelab.networks.transposed import Deconv

CASES: dict[str, tuple[tuple[Any, ...], dict[str, Any], tuple[int, ...]]] = {
    "stride 2": ((3, 5, 5, 2, 1), {}, (4, 3, 7, 6)),
    "no stride, no bias": ((3, 1, 4), {"bias": False}, (4, 3, 4, 4)),
    "from a vector": ((2, 6, (7, 5)), {}, (4, 2, 1, 1)),
    "rows and columns apart": ((2, 3, (2, 3), 2, (0, 1), (0, 1)), {}, (3, 2, 4, 4)),
}


@pytest.fixture(autouse=True)
def narrow_layers_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transposed, "WIDE", 1)


def both(case: str, dtype: torch.dtype = torch.float64) -> tuple[Deconv, nn.ConvTranspose2d, Tensor]:
    wiring, options, shape = CASES[case]
    torch.manual_seed(0)
    ours, theirs = Deconv(*wiring, **options).to(dtype), nn.ConvTranspose2d(*wiring, **options).to(dtype)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs, torch.randn(shape, dtype=dtype, requires_grad=True)


def derivatives(layer: nn.Module, x: Tensor) -> list[Tensor]:
    """The output, its gradients, and the gradients of their squares."""
    y = layer(x)
    wanted = [x, *layer.parameters()]
    first = torch.autograd.grad((y * y.detach().cos()).sum(), wanted, create_graph=True)
    second = torch.autograd.grad(first[0].square().sum() + first[1].square().sum(), wanted[:2])
    return [y, *first, *second]


@pytest.mark.parametrize("case", CASES)
def test_values_and_derivatives_are_pytorchs(case: str) -> None:
    ours, theirs, x = both(case)
    for a, b in zip(derivatives(ours, x), derivatives(theirs, x), strict=True):
        assert torch.allclose(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_many_at_once_are_each_by_itself(case: str) -> None:
    ours, theirs, x = both(case)
    xs = torch.stack([x.detach(), 2 - x.detach()])
    stacked = {name: torch.stack([value, value + 1]).detach() for name, value in theirs.state_dict().items()}

    def energy(layer: nn.Module, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(layer, parameters, (x,)).square().sum()

    found = vmap(grad(lambda p, x: energy(ours, p, x)))(stacked, xs)
    for i in range(2):
        alone = grad(lambda p, x: energy(theirs, p, x))({name: value[i] for name, value in stacked.items()}, xs[i])
        assert all(torch.allclose(found[name][i], alone[name], rtol=1e-9) for name in alone)


def test_under_autocast_it_is_in_bfloat16_and_its_gradients_are_not() -> None:
    ours, theirs, x = both("stride 2", torch.float32)
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        y = ours(x)
    assert y.dtype == torch.bfloat16
    assert torch.allclose(y.float(), theirs(x), rtol=2e-2, atol=2e-2)
    y.float().sum().backward()
    assert {p.grad.dtype for p in (x, *ours.parameters()) if p.grad is not None} == {torch.float32}

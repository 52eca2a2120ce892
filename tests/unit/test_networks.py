"""The networks, layer by layer: shapes, parameter counts, padding, gates, and a user's own modules."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ratelab.core.errors import UserError
from ratelab.encoders import ENCODERS
from ratelab.networks import FEATURES, RENDERERS
from ratelab.networks.conv import ConvFeatures, DeconvRenderer
from ratelab.networks.custom import CustomFeatures, CustomRenderer
from ratelab.networks.layers import SameConv, SameDeconv, dense, gated


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def traced(layers: nn.Sequential, x: torch.Tensor) -> list[int]:
    sides = []
    for layer in layers:
        x = layer(x)
        if x.ndim == 4:
            sides.append(x.shape[-1])
    return sides


@pytest.mark.spec("RD31")
def test_the_convolutional_encoder_has_the_papers_shapes_and_parameters() -> None:
    network = ConvFeatures((1, 28, 28))
    assert traced(network.layers, torch.zeros(2, 1, 28, 28)) == [28, 14, 14, 7, 1]
    assert [count(layer) for layer in network.layers][:5] == [1664, 51264, 102528, 204928, 1606144]
    encoder = ENCODERS.build(ENCODERS.resolve({"name": "gaussian", "network": "conv"}, "e"), (1, 28, 28), (64,))
    assert count(encoder.head) == 32896
    assert count(encoder) == 1999424
    assert encoder(torch.zeros(2, 1, 28, 28)).loc.shape == (2, 64)


@pytest.mark.spec("RD37")
def test_the_deconvolutional_decoder_has_the_papers_shapes_and_parameters() -> None:
    network = DeconvRenderer((64,), (1, 28, 28))
    assert traced(network.layers[1:], torch.zeros(2, 64, 1, 1)) == [7, 7, 14, 14, 28, 28, 28]
    assert count(network) == 998753
    assert network(torch.zeros(3, 2, 64)).shape == (3, 2, 1, 28, 28)


@pytest.mark.parametrize("side", [(8, 8), (9, 13), (32, 20)])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_conv_pair_takes_any_image(side: tuple[int, int], channels: int) -> None:
    shape = (channels, *side)
    features = ConvFeatures(shape, width=4, features=6)(torch.zeros(2, *shape))
    assert features.shape == (2, 6)
    assert DeconvRenderer((6,), shape, width=4)(features).shape == (2, *shape)


@pytest.mark.spec("RD39")
def test_the_gate_is_one_half_times_the_sigmoid_of_the_other() -> None:
    layer = dense(5, 3, "gated")
    x = torch.randn(4, 5)
    weight, bias = layer[0].weight, layer[0].bias
    reference = (x @ weight[:3].T + bias[:3]) * torch.sigmoid(x @ weight[3:].T + bias[3:])
    assert torch.allclose(layer(x), reference, atol=1e-6)
    conv = gated(SameConv, 2, 3, 5)
    image = torch.randn(1, 2, 8, 8)
    both = F.conv2d(image, conv[0].weight, conv[0].bias, padding=2)
    assert torch.allclose(conv(image), both[:, :3] * torch.sigmoid(both[:, 3:]), atol=1e-6)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [4, 5, 7])
@pytest.mark.parametrize("side", [7, 28])
def test_same_padding_is_tensorflows(side: int, kernel: int, stride: int) -> None:
    """Output ceil(in / stride), with the odd row of padding at the bottom and right."""
    conv = SameConv(1, 1, kernel, stride)
    x = torch.randn(1, 1, side, side)
    out = -(-side // stride)
    total = max((out - 1) * stride + kernel - side, 0)
    pad = (total // 2, total - total // 2)
    reference = F.conv2d(F.pad(x, (*pad, *pad)), conv.weight, conv.bias, stride)
    assert conv(x).shape[-1] == out
    assert torch.allclose(conv(x), reference, atol=1e-6)


@pytest.mark.parametrize(("kernel", "stride"), [(5, 1), (5, 2), (4, 1)])
def test_transposed_same_padding_is_the_adjoint_of_the_convolution(kernel: int, stride: int) -> None:
    """A SAME transposed convolution is the transpose of the SAME convolution with the same weights."""
    deconv, conv = SameDeconv(1, 1, kernel, stride), SameConv(1, 1, kernel, stride)
    with torch.no_grad():
        conv.weight.copy_(deconv.weight)
        conv.bias.zero_(), deconv.bias.zero_()
    small, large = torch.randn(1, 1, 7, 7), torch.randn(1, 1, 7 * stride, 7 * stride)
    assert deconv(small).shape == large.shape
    assert torch.allclose((deconv(small) * large).sum(), (small * conv(large)).sum(), atol=1e-4)


def test_networks_say_what_data_they_take() -> None:
    for build in (lambda: FEATURES.build({"name": "conv"}, (5,)), lambda: RENDERERS.build({"name": "deconv"}, (4,), (5,))):
        with pytest.raises(UserError, match="takes images"):
            build()
    with pytest.raises(UserError, match="vector of latents"):
        RENDERERS.build({"name": "deconv"}, (4, 2, 2), (1, 8, 8))


class NeedsArguments(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()


def test_code_that_fails_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, text in (("syntactic", "def"), ("dividing", "1/0"), ("leaving", "raise SystemExit(3)")):
        (tmp_path / f"{name}_net.py").write_text(text)
        with pytest.raises(UserError, match="its module fails with") as caught:
            FEATURES.build({"name": "custom", "code": f"{name}_net:Net"}, (5,))
        assert "\n" not in str(caught.value)
    monkeypatch.setattr("torch.nn.NeedsArguments", NeedsArguments, raising=False)
    with pytest.raises(UserError, match="it is made without arguments"):
        FEATURES.build({"name": "custom", "code": "torch.nn:NeedsArguments"}, (5,))


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, x


def test_a_users_module_is_probed_before_it_is_used() -> None:
    assert CustomFeatures((1, 8, 8), nn.Conv2d(1, 3, 8)).features == 3
    assert CustomRenderer((4,), (1, 2, 2), nn.Linear(4, 4))(torch.zeros(5, 2, 4)).shape == (5, 2, 1, 2, 2)
    with pytest.raises(UserError, match="custom encoder cannot take input of shape"):
        CustomFeatures((5,), nn.Linear(4, 4))
    with pytest.raises(UserError, match="must return one tensor"):
        CustomFeatures((1, 8, 8), Pair())
    with pytest.raises(UserError, match="where \\(1, 3, 3\\) is needed"):
        CustomRenderer((4,), (1, 3, 3), nn.Linear(4, 4))
    norm = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten())
    CustomFeatures((1, 8, 8), norm)
    assert int(norm[0].num_batches_tracked) == 0, "the probe leaves running statistics alone"
    assert norm.training


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("no.such.module:Net", "No module named"),
        ("torch.nn:NoNet", "no attribute"),
        ("math:pi", "no torch.nn.Module"),
        (None, "say which class"),
    ],
)
def test_code_that_cannot_be_found_is_named(code: str | None, says: str) -> None:
    with pytest.raises(UserError, match=says):
        FEATURES.build({"name": "custom", "code": code}, (5,))

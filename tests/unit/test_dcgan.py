"""The DCGAN-like networks, layer by layer."""

import pytest
import torch
from torch import nn

from ratelab.core.errors import UserError
from ratelab.networks import FEATURES, RENDERERS
from ratelab.networks.dcgan import (
    ColorMnistCriticFeatures,
    ColorMnistFeatures,
    ColorMnistRenderer,
    DcganFeatures,
    DcganRenderer,
)
from ratelab.networks.wae_dcgan import WaeFeatures, WaeRenderer

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
Trace = list[tuple[int, int, int, int]]


def traced(network: nn.Module, x: torch.Tensor) -> Trace:
    """(channels, side, kernel, stride) after every convolution."""
    seen: Trace = []
    for module in network.modules():
        if isinstance(module, CONVOLUTIONS):
            module.register_forward_hook(lambda m, i, o: seen.append((o.shape[1], o.shape[2], m.kernel_size[0], m.stride[0])))
    network(x)
    return seen


def convolutions(network: nn.Module) -> list[nn.Module]:
    return [m for m in network.modules() if isinstance(m, CONVOLUTIONS)]


@pytest.mark.spec("DM41")
def test_arjovskys_generator_and_discriminator_at_64_and_32() -> None:
    big = traced(DcganRenderer((100,), (3, 64, 64)), torch.zeros(2, 100))
    assert big == [(512, 4, 4, 1), (256, 8, 4, 2), (128, 16, 4, 2), (64, 32, 4, 2), (3, 64, 4, 2)]
    small = traced(DcganRenderer((100,), (3, 32, 32)), torch.zeros(2, 100))
    assert small == [(256, 4, 4, 1), (128, 8, 4, 2), (64, 16, 4, 2), (3, 32, 4, 2)]
    network = DcganFeatures((3, 64, 64))
    assert traced(network, torch.zeros(2, 3, 64, 64)) == [(64, 32, 4, 2), (128, 16, 4, 2), (256, 8, 4, 2), (512, 4, 4, 2)]
    assert network.features == 512 * 16
    assert traced(DcganFeatures((3, 32, 32)), torch.zeros(2, 3, 32, 32)) == [(64, 16, 4, 2), (128, 8, 4, 2), (256, 4, 4, 2)]


@pytest.mark.spec("DM41")
def test_arjovskys_convolutions_have_no_biases_and_the_discriminators_first_no_normalisation() -> None:
    for network, norms in ((DcganRenderer((10,), (3, 64, 64)), 4), (DcganFeatures((3, 64, 64)), 3)):
        assert all(m.bias is None for m in convolutions(network))
        assert sum(isinstance(m, nn.BatchNorm2d) for m in network.modules()) == norms
        weights = torch.cat([m.weight.detach().flatten() for m in convolutions(network)])
        assert float(weights.std()) == pytest.approx(0.02, rel=0.02)
    assert isinstance(DcganFeatures((3, 32, 32)).layers[0][1], nn.LeakyReLU)
    assert not [m for m in DcganFeatures((3, 32, 32), norm="none").modules() if isinstance(m, nn.BatchNorm2d)]


@pytest.mark.spec("DM42")
def test_the_colormnist_networks_go_from_28_to_7_and_back() -> None:
    generator = ColorMnistRenderer((50,), (3, 28, 28))
    assert generator.layers[0].out_features == 3136
    assert traced(generator, torch.zeros(2, 50)) == [(64, 14, 5, 2), (32, 14, 5, 1), (3, 28, 5, 2)]
    encoder = ColorMnistFeatures((3, 28, 28))
    assert traced(encoder, torch.zeros(2, 3, 28, 28)) == [(32, 14, 5, 2), (64, 14, 5, 1), (64, 7, 5, 2)]
    assert encoder.features == 3136
    critic = ColorMnistCriticFeatures((3, 28, 28))
    assert traced(critic, torch.zeros(2, 3, 28, 28)) == [
        (8, 13, 5, 2), (16, 11, 5, 1), (32, 5, 5, 2), (64, 3, 5, 1), (64, 1, 5, 2),
    ]  # fmt: skip
    assert critic.features == 64
    assert not [m for m in critic.modules() if isinstance(m, nn.BatchNorm2d)]
    normed = ColorMnistCriticFeatures((3, 28, 28), norm="batch")
    assert [len(layer) for layer in normed.layers[:5]] == [2, 3, 3, 3, 2]


@pytest.mark.spec("IM17")
def test_the_wae_networks_for_mnist() -> None:
    encoder = WaeFeatures((1, 28, 28))
    assert traced(encoder, torch.zeros(2, 1, 28, 28)) == [(128, 14, 4, 2), (256, 7, 4, 2), (512, 4, 4, 2), (1024, 2, 4, 2)]
    assert encoder.features == 2 * 2 * 1024
    decoder = WaeRenderer((8,), (1, 28, 28))
    assert decoder.layers[0].out_features == 7 * 7 * 1024
    assert traced(decoder, torch.zeros(2, 8)) == [(512, 14, 4, 2), (256, 28, 4, 2), (1, 28, 4, 1)]


@pytest.mark.spec("IM18")
@pytest.mark.parametrize(("side", "base"), [(64, 8), (32, 4)])
def test_the_wae_networks_for_celeba_and_cifar(side: int, base: int) -> None:
    encoder = WaeFeatures((3, side, side))
    expected = [(128 * 2**i, side // 2 ** (i + 1), 5, 2) for i in range(4)]
    assert traced(encoder, torch.zeros(2, 3, side, side)) == expected
    assert encoder.features == (side // 16) ** 2 * 1024
    decoder = WaeRenderer((64,), (3, side, side))
    assert decoder.layers[0].out_features == base * base * 1024
    assert traced(decoder, torch.zeros(2, 64)) == [
        (512, 2 * base, 5, 2), (256, 4 * base, 5, 2), (128, 8 * base, 5, 2), (3, side, 5, 1),
    ]  # fmt: skip


@pytest.mark.spec("IM17", "IM18")
def test_wae_weights_start_at_a_hundredth_and_hidden_convolutions_are_normalised() -> None:
    for network, norms in ((WaeFeatures((1, 28, 28), width=128), 4), (WaeRenderer((8,), (1, 28, 28), width=256), 2)):
        layers = [m for m in network.modules() if isinstance(m, (*CONVOLUTIONS, nn.Linear))]
        assert float(torch.cat([m.weight.detach().flatten() for m in layers]).std()) == pytest.approx(0.01, rel=0.02)
        assert all(not m.bias.any() for m in layers)
        normalisations = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
        assert len(normalisations) == norms
        assert {(m.eps, m.momentum) for m in normalisations} == {(1e-5, 0.1)}
    renderer = WaeRenderer((8,), (1, 28, 28), width=256)
    assert isinstance(renderer.layers[1], nn.ReLU), "no normalisation after the dense layer"


@pytest.mark.parametrize("name", ["dcgan", "colormnist", "wae-dcgan"])
def test_pairs_take_leading_axes_and_leave_no_mark_of_the_batch_in_evaluation(name: str) -> None:
    torch.manual_seed(0)
    shape = (3, 16, 16)
    features = FEATURES.build(FEATURES.resolve({"name": name, "width": 8}, "f"), shape).eval()
    renderer = RENDERERS.build(RENDERERS.resolve({"name": name, "width": 8}, "r"), (5,), shape).eval()
    x, z = torch.randn(2, 3, *shape), torch.randn(2, 3, 5)
    assert features(x).shape == (2, 3, features.features)
    assert renderer(z).shape == (2, 3, *shape)
    assert torch.allclose(features(x)[1, 2], features(x[1, 2:3])[0], atol=1e-6)
    assert torch.allclose(renderer(z)[1, 2], renderer(z[1, 2:3])[0], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "shape", "says"),
    [
        ("dcgan", (1, 28, 28), "sides of 8, 16, 32, 64.*'conv'"),
        ("dcgan", (1, 4, 4), "sides of 8, 16"),
        ("dcgan", (12,), "square images"),
        ("colormnist", (3, 28, 32), "square images"),
        ("colormnist-critic", (3, 16, 16), "at least 28x28"),
        ("wae-dcgan", (1, 30, 30), "multiple of 4"),
    ],
)
def test_images_that_do_not_fit_are_refused_in_one_line(name: str, shape: tuple[int, ...], says: str) -> None:
    tables = [FEATURES] if name == "colormnist-critic" else [FEATURES, RENDERERS]
    for table in tables:
        wiring = (shape,) if table is FEATURES else ((5,), shape)
        with pytest.raises(UserError, match=says) as caught:
            table.build(table.resolve(name, "network"), *wiring)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["dcgan", "colormnist", "wae-dcgan"])
def test_latents_that_are_no_vector_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="a vector of latents"):
        RENDERERS.build(RENDERERS.resolve(name, "network"), (2, 3), (1, 32, 32))

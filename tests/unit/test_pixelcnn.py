"""Autoregressive networks and their laws: causality, sums over all images, and drawing that is exactly the pass it replaces."""

from collections.abc import Callable
from itertools import product

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from ratelab.core.batch import LiveNoise, Noise
from ratelab.core.errors import UserError
from ratelab.decoders import DECODERS
from ratelab.distributions.autoregressive import Autoregressive
from ratelab.distributions.bernoulli import Bernoulli
from ratelab.networks.causal import RasterNetwork
from ratelab.networks.gated_pixelcnn import GatedPixelCnn
from ratelab.networks.masked import ConvAutoregressive
from ratelab.networks.pixelcnn import Level, PixelCnn

Maker = Callable[[], tuple[RasterNetwork, tuple[int, int, int], int]]


def bold(module: nn.Module, gain: float = 3.0) -> nn.Module:
    """Larger weights than at the start, so that pixels depend on each other strongly."""
    with torch.no_grad():
        for p in module.parameters():
            p.mul_(gain)
    return module.double()


def pixelcnn(channels: int, side: tuple[int, int], context: int, **options: object) -> Maker:
    return lambda: (
        PixelCnn(channels, side, channels, context, **{"features": 6, **options}),  # type: ignore[arg-type]
        (channels, *side),
        context,
    )


def gated(channels: int, side: tuple[int, int], context: int, **options: object) -> Maker:
    return lambda: (
        GatedPixelCnn(channels, channels, context, **{"features": 6, "layers": 3, **options}),  # type: ignore[arg-type]
        (channels, *side),
        context,
    )


NETWORKS: dict[str, Maker] = {
    "pixelcnn++ 4x4": pixelcnn(1, (4, 4), 1),
    "pixelcnn++ 8x8": pixelcnn(1, (8, 8), 1),
    "pixelcnn++ 8x12, colours, unshifted context": pixelcnn(3, (8, 12), 2, bias=True),
    "pixelcnn++ 8x4, two layers everywhere": pixelcnn(1, (8, 4), 1, all_skips=False),
    "pixelcnn++ 4x8, three layers, no context": pixelcnn(1, (4, 8), 0, layers=3),
    "gated 8x8": gated(1, (8, 8), 2),
    "gated 5x7, colours": gated(3, (5, 7), 1, kernel=5, first_kernel=3),
    "gated 3x4, one layer, no context": gated(1, (3, 4), 0, layers=1),
}
EVERY = pytest.mark.parametrize("name", NETWORKS)


def network(name: str) -> tuple[RasterNetwork, Tensor, Tensor | None]:
    """A network, and one image and its conditions for it."""
    torch.manual_seed(0)
    net, shape, context = NETWORKS[name]()
    bold(net, 1.5)
    x = torch.randn(2, *shape, dtype=torch.float64)
    return net, x, torch.randn(2, context, *shape[1:], dtype=torch.float64) if context else None


def law_of(net: RasterNetwork, context: Tensor | None, shape: tuple[int, ...]) -> Autoregressive:
    return Autoregressive(net, context, shape, lambda p: Bernoulli(p, event_axes=3))  # type: ignore[arg-type]


def naive_draw(law: Autoregressive, net: RasterNetwork, context: Tensor, noise: Noise) -> Tensor:
    """One full pass of the network for every pixel."""
    x = context.new_zeros(len(context), *law.event_shape)
    for row, column in product(range(law.event_shape[1]), range(law.event_shape[2])):
        with torch.no_grad():
            out = net(2 * x - 1, context)[:, :, row : row + 1, column : column + 1]
        x[:, :, row : row + 1, column : column + 1] = law.pixels(out).draw(noise).value
    return x


@pytest.mark.spec("RD38", "VF48")
@EVERY
def test_outputs_depend_on_exactly_the_pixels_before(name: str) -> None:
    """d output / d x is 0 at the pixel and after it for every pixel, and not 0 at its neighbours before it."""
    net, x, context = network(name)
    images = torch.randn(8, *x.shape[1:], dtype=torch.float64, requires_grad=True)  # several: a ReLU may sleep for one
    out = net(images, None if context is None else context[:1].expand(8, -1, -1, -1))
    height, width = out.shape[2:]
    for row, column in product(range(height), range(width)):
        (gradient,) = torch.autograd.grad(out[:, :, row, column].sum(), images, retain_graph=True)
        flat = gradient.abs().sum((0, 1)).flatten()
        place = row * width + column
        assert not flat[place:].any()
        if column:
            assert flat[place - 1] > 0
        if row:
            assert flat[place - width] > 0
    if name.startswith("pixelcnn++") and width <= 8:
        assert (flat[:-1] > 0).all(), "the last pixel sees all others"


@pytest.mark.spec("RD38")
def test_the_unshifted_map_is_seen_at_and_after_a_pixel_and_the_shifted_one_is_not() -> None:
    for unshifted in (False, True):
        torch.manual_seed(0)
        net = bold(PixelCnn(1, (8, 8), 1, 1, features=6, bias=unshifted))
        context = torch.randn(1, 1, 8, 8, dtype=torch.float64, requires_grad=True)
        out = net(torch.randn(1, 1, 8, 8, dtype=torch.float64), context)
        (gradient,) = torch.autograd.grad(out[0, 0, 4, 4], context)
        assert bool(gradient[0, 0, 4, 4]) == unshifted
        assert gradient[0, 0, 3, 4] != 0


@pytest.mark.spec("RD38")
def test_the_network_has_six_blocks_and_uses_every_skip() -> None:
    net = PixelCnn(1, (28, 28), 1, 1)
    levels: list[Level] = [net.level]
    while levels[-1].coarser is not None:
        levels.append(levels[-1].coarser)
    assert [len(level.first) for level in levels] == [2, 2, 2]
    assert [len(level.last) for level in levels] == [3, 3, 2]
    assert {m.out_channels for m in net.modules() if isinstance(m, nn.Conv2d)} == {64, 128, 1}
    sides: list[int] = []
    for level in levels:
        level.last[-1].left.register_forward_hook(lambda m, i, o: sides.append(o.shape[-1]))
    net(torch.zeros(1, 1, 28, 28), torch.zeros(1, 1, 28, 28)).sum().backward()
    assert sides == [7, 14, 28]
    unused = {name for name, p in net.named_parameters() if p.grad is None}
    # The very last layer of the stream above feeds nothing but the last layer of the other, so all of it is used.
    assert not unused
    exactly_two = PixelCnn(1, (28, 28), 1, 1, all_skips=False)
    assert [len(exactly_two.level.first), len(exactly_two.level.last)] == [2, 2]


@EVERY
def test_cached_activations_are_those_of_the_whole_pass(name: str) -> None:
    net, x, context = network(name)
    sampler = net.sampler(x, context)
    with torch.no_grad():
        whole = net(x, context)
        for row, column in product(range(x.shape[2]), range(x.shape[3])):
            assert torch.allclose(sampler.parameters(row, column), whole[:, :, row, column], atol=1e-10), (row, column)
            sampler.write(row, column, x[:, :, row, column])


@pytest.mark.parametrize("name", [n for n, make in NETWORKS.items() if make()[2]])
def test_cached_draws_are_the_draws_of_full_passes_at_the_same_random_numbers(name: str) -> None:
    net, _, context = network(name)
    assert context is not None
    context = context[:1] + torch.randn(16, *context.shape[1:], dtype=torch.float64)
    law = law_of(net, context, NETWORKS[name]()[1])
    cached = law.draw(LiveNoise(7, dtype=torch.float64)).value
    assert torch.equal(cached, naive_draw(law, net, context, LiveNoise(7, dtype=torch.float64)))
    assert 0.1 < float(cached.mean()) < 0.9
    assert not torch.equal(cached, law.draw(LiveNoise(8, dtype=torch.float64)).value)


@pytest.mark.slow
@pytest.mark.parametrize("unshifted", [False, True])
def test_cached_draws_at_the_papers_size_are_those_of_full_passes(unshifted: bool) -> None:
    torch.manual_seed(0)
    net = bold(PixelCnn(1, (28, 28), 1, 1, features=8, bias=unshifted), 1.5)
    context = torch.randn(2, 1, 28, 28, dtype=torch.float64)
    law = law_of(net, context, (1, 28, 28))
    cached = law.draw(LiveNoise(0, dtype=torch.float64)).value
    assert torch.equal(cached, naive_draw(law, net, context, LiveNoise(0, dtype=torch.float64)))


def all_images(height: int, width: int) -> Tensor:
    """(2^(H W), 1, H, W)."""
    codes = torch.arange(2 ** (height * width))
    bits = (codes[:, None] >> torch.arange(height * width)) & 1
    return bits.reshape(-1, 1, height, width).double()


@pytest.fixture(scope="module")
def plus() -> tuple[Autoregressive, Tensor]:
    """A "+" decoder's law of 4x4 images for one z, and its probabilities of all 65 536."""
    torch.manual_seed(0)
    node = DECODERS.resolve({"name": "pixelcnn++", "features": 2}, "decoder")
    law = bold(DECODERS.build(node, (3,), (1, 4, 4)), 2.5)(torch.randn(3, dtype=torch.float64))
    with torch.no_grad():
        return law, torch.cat([law.log_prob(chunk).exp() for chunk in all_images(4, 4).split(8192)])


@pytest.mark.spec("RD38")
def test_the_plus_decoder_sums_to_one_over_all_65536_images(plus: tuple[Autoregressive, Tensor]) -> None:
    _, mass = plus
    assert float(mass.sum()) == pytest.approx(1.0, abs=1e-9)
    assert float(mass.max()) > 20 / 65536, "a uniform law would sum to 1 as well"


@pytest.mark.spec("VF07")
def test_an_autoregressive_model_of_twelve_pixels_sums_to_one() -> None:
    net, x, _ = network("gated 3x4, one layer, no context")
    with torch.no_grad():
        mass = law_of(bold(net), None, tuple(x.shape[1:])).log_prob(all_images(3, 4)).exp()
    assert mass.shape == (4096,)
    assert float(mass.sum()) == pytest.approx(1.0, abs=1e-9)
    assert float(mass.max()) > 5 / 4096


@pytest.mark.spec("RD40")
def test_draws_of_a_gated_pixelcnn_follow_its_table() -> None:
    torch.manual_seed(0)
    net = bold(GatedPixelCnn(1, 1, 1, features=4, layers=1), 3.0)
    law = law_of(net, torch.randn(1, 2, 3, dtype=torch.float64), (1, 2, 3))
    with torch.no_grad():
        mass = law.log_prob(all_images(2, 3)).exp()
    draws = law.draw(LiveNoise(0, dtype=torch.float64), 20000).value.flatten(1)
    counts = torch.bincount((draws * 2 ** torch.arange(6)).sum(1).long(), minlength=64)
    assert mass.max() > 3 * mass.min()
    assert stats.chisquare(counts.numpy(), (20000 * mass / mass.sum()).numpy()).pvalue > 1e-4


@pytest.mark.spec("RD40")
def test_draws_of_the_plus_decoder_follow_its_table(plus: tuple[Autoregressive, Tensor]) -> None:
    """The images in 1024 groups: all values of ten of the sixteen pixels, the last ones among them."""
    law, mass = plus
    watched = torch.tensor([0, 1, 4, 5, 6, 10, 11, 13, 14, 15])

    def group(images: Tensor) -> Tensor:
        return (images.flatten(1)[:, watched] * 2 ** torch.arange(10)).sum(1).long()

    expected = 20000 * torch.zeros(1024, dtype=torch.float64).index_add(0, group(all_images(4, 4)), mass)
    counts = torch.bincount(group(law.draw(LiveNoise(0, dtype=torch.float64), 20000).value), minlength=1024).double()
    rare = expected < 5
    c, e = (torch.cat([v[~rare], v[rare].sum()[None]]).numpy() for v in (counts, expected))
    assert stats.chisquare(c, e / e.sum() * c.sum()).pvalue > 1e-4


@pytest.mark.parametrize("name", ["pixelcnn++", "gated-pixelcnn"])
def test_the_mean_is_that_of_each_pixel_given_the_likely_ones_before(name: str) -> None:
    torch.manual_seed(0)
    decoder = bold(DECODERS.build(DECODERS.resolve({"name": name, "features": 4}, "d"), (3,), (1, 4, 4)), 2.0)
    law = decoder(torch.randn(5, 3, dtype=torch.float64))
    likely = (law.mean > 0.5).double()
    with torch.no_grad():
        context = law.context
        logits = law.network(2 * likely - 1, context)
    assert torch.allclose(torch.sigmoid(logits), law.mean, atol=1e-10)
    assert not law.mean.requires_grad


@pytest.mark.parametrize("name", ["pixelcnn++", "gated-pixelcnn"])
def test_one_pass_scores_with_the_law_of_the_latents_given(name: str) -> None:
    """Different latents give different laws, each example under its own."""
    torch.manual_seed(0)
    decoder = bold(DECODERS.build(DECODERS.resolve({"name": name, "features": 4}, "d"), (3,), (1, 4, 4)), 2.0)
    z, x = torch.randn(2, 3, dtype=torch.float64), torch.ones(1, 1, 4, 4, dtype=torch.float64)
    both = decoder(z).log_prob(x)
    assert both.shape == (2,)
    assert abs(float((both[0] - both[1]).detach())) > 1e-3


@pytest.mark.spec("N27")
def test_a_pixelvae_tells_every_pixel_what_z_says_and_only_its_neighbours_what_they_are() -> None:
    """An upsampling network turns z into maps beside a shallow PixelCNN, which sees few pixels back (Gulrajani et al. 2017)."""
    node = {"name": "gated-pixelcnn", "network": {"name": "deconv", "width": 4}, "layers": 0, "features": 6, "maps": 3}
    torch.manual_seed(0)
    decoder = bold(DECODERS.build(DECODERS.resolve(node, "decoder"), (3,), (1, 12, 12)), 2.0)
    z = torch.randn(1, 3, generator=torch.Generator().manual_seed(1)).double().requires_grad_()
    x = torch.bernoulli(torch.full((1, 1, 12, 12), 0.5), generator=torch.Generator().manual_seed(2)).double().requires_grad_()

    def logits(pixel: tuple[int, int]) -> Tensor:
        law = decoder(z)
        return law.network(2 * x - 1, law.context)[0, 0, pixel[0], pixel[1]]

    for row, column in ((0, 0), (6, 6), (11, 3)):
        by_z, by_x = torch.autograd.grad(logits((row, column)), (z, x))
        assert (by_z != 0).all()
        seen = {(r, c) for r, c in by_x[0, 0].nonzero().tolist()}
        before = {(r, c) for r in range(12) for c in range(12) if r < row or (r == row and c < column)}
        window = {(r, c) for r, c in before if row - r <= 3 and abs(column - c) <= 3}
        assert seen == window
        assert len(seen) < len(before) or row == 0


@pytest.mark.spec("VF43")
@pytest.mark.parametrize("channels", [1, 3])
def test_the_convolutional_network_is_strictly_raster_and_channel_causal(channels: int) -> None:
    torch.manual_seed(0)
    net = bold(ConvAutoregressive(channels, outputs=2, context=2, features=9, layers=3), 3.0)
    z = torch.randn(1, channels, 4, 5, dtype=torch.float64, requires_grad=True)
    context = torch.randn(1, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    out = net(z, context)
    assert out.shape == (1, 2, channels, 4, 5)
    for row, column, channel in product(range(4), range(5), range(channels)):
        (gradient,) = torch.autograd.grad(out[0, :, channel, row, column].sum(), z, retain_graph=True)
        order = gradient[0].abs().permute(1, 2, 0).flatten()  # raster, then channels
        place = (row * 5 + column) * channels + channel
        assert not order[place:].any()
        if channel:
            assert order[place - 1] > 0
        if column:
            assert order[place - channels] > 0
    (gradient,) = torch.autograd.grad(out[0, 0, 0, 0, 0], context)
    assert gradient.any()


def test_the_convolutional_network_refuses_even_kernels() -> None:
    with pytest.raises(UserError, match="odd kernel"):
        ConvAutoregressive(1, kernel=4)


@pytest.mark.parametrize(
    ("node", "latent", "shape", "says"),
    [
        ("pixelcnn++", (3,), (1, 9, 9), "multiples of 4, not 9x9.*gated-pixelcnn"),
        ("pixelcnn++", (2, 4, 4), (1, 8, 8), "a vector of latents, not one of shape"),
        ("pixelcnn++", (3,), (12,), "scores images"),
        ("gated-pixelcnn", (3,), (12,), "scores images"),
        ("logistic-mixture", (3,), (12,), "scores images.*discretised-logistic"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_in_one_line(
    node: str, latent: tuple[int, ...], shape: tuple[int, ...], says: str
) -> None:
    with pytest.raises(UserError, match=says) as caught:
        DECODERS.build(DECODERS.resolve(node, "decoder"), latent, shape)
    assert "\n" not in str(caught.value)


def test_a_users_module_for_the_plus_decoder_is_refused_with_the_alternative() -> None:
    with pytest.raises(UserError, match="gated-pixelcnn"):
        DECODERS.build(DECODERS.resolve("pixelcnn++", "decoder"), (3,), (1, 8, 8), nn.Linear(3, 64))

"""Laws of laws: densities are normalised, draws follow them, closed forms agree with independent implementations."""

import math
from collections.abc import Callable

import pytest
import torch
from scipy import stats
from torch import Tensor, distributions

from ratelab.core.batch import MODE, LiveNoise
from ratelab.core.law import Law
from ratelab.distributions.affine import Affine
from ratelab.distributions.bernoulli import Bernoulli
from ratelab.distributions.categorical import Categorical
from ratelab.distributions.full_gaussian import FullGaussian
from ratelab.distributions.gaussians import DiagonalGaussian, StandardNormal
from ratelab.distributions.heads import SPREADS
from ratelab.distributions.logistic import Logistic
from ratelab.distributions.mixtures import GaussianMixture
from ratelab.distributions.one_hot import OneHot

LOC, SCALE = torch.tensor([[0.3, -1.0]]), torch.tensor([[0.5, 2.0]])


def gaussian() -> DiagonalGaussian:
    return DiagonalGaussian(LOC, scale=SCALE)


LAWS: dict[str, Callable[[], Law]] = {
    "diagonal Gaussian": gaussian,
    "standard normal": lambda: StandardNormal((2,), torch.zeros(())),
    "affine": lambda: Affine(gaussian(), torch.tensor([10.0, -3.0]), torch.tensor([2.0, 0.1])),
    "full Gaussian": lambda: FullGaussian(LOC, torch.tensor([[[0.5, 0.0], [-0.7, 1.5]]])),
    "logistic": lambda: Logistic(LOC, SCALE),
    "one-hot": lambda: OneHot(torch.tensor([[[0.1, 1.0, -0.5], [0.0, 0.3, 2.0]]])),
    "Bernoulli": lambda: Bernoulli(torch.tensor([[0.4, -1.2]])),
    "categorical": lambda: Categorical(torch.tensor([[0.1, 1.0, -0.5]])),
}
ALL = pytest.mark.parametrize("name", LAWS)


@ALL
def test_shapes_sums_and_twins(name: str) -> None:
    law = LAWS[name]()
    value, scored = law.draw(LiveNoise(0), 4)
    assert tuple(value.shape) == (4, *law.batch_shape, *law.event_shape)
    total = law.log_prob(value)
    assert tuple(total.shape) == (4, *law.batch_shape)
    assert scored is None or torch.allclose(scored, total)
    units = law.unit_log_prob(value)
    if units is not None and law.event_shape:
        assert torch.allclose(units.sum(-1), total, atol=1e-6)
    assert torch.allclose(law.detached().log_prob(value), total)
    closed = law.kl(law)
    assert closed is None or torch.allclose(closed, torch.zeros_like(closed), atol=1e-6)


@ALL
def test_a_mode_request_yields_a_point_of_highest_density(name: str) -> None:
    law = LAWS[name]()
    mode = law.draw(MODE).value
    others = law.draw(LiveNoise(1), 500).value
    assert (law.log_prob(mode) >= law.log_prob(others) - 1e-6).all()


@ALL
def test_detached_twins_pass_no_gradient(name: str) -> None:
    parameter = torch.zeros((), requires_grad=True)
    makers: dict[str, Callable[[Tensor], Law]] = {
        "diagonal Gaussian": lambda t: DiagonalGaussian(LOC + t, log_scale=SCALE.log() + t),
        "full Gaussian": lambda t: FullGaussian(LOC + t, torch.eye(2).expand(1, 2, 2) * (1 + t)),
        "logistic": lambda t: Logistic(LOC + t, SCALE * (1 + t)),
        "one-hot": lambda t: OneHot(torch.tensor([[[0.1, 1.0, -0.5], [0.0, 0.3, 2.0]]]) * (1 + t)),
        "Bernoulli": lambda t: Bernoulli(torch.tensor([[0.4, -1.2]]) + t),
        "categorical": lambda t: Categorical(torch.tensor([[0.1, 1.0, -0.5]]) * (1 + t)),
        "affine": lambda t: Affine(DiagonalGaussian(LOC + t, scale=SCALE), torch.zeros(2), torch.ones(2)),
    }
    if name in makers:
        law = makers[name](parameter)
        value = law.draw(LiveNoise(0), 3).value.detach()
        assert law.log_prob(value).requires_grad
        assert not law.detached().log_prob(value).requires_grad


@pytest.mark.spec("VF33", "RD33")
def test_gaussian_density_equals_scipy_and_the_noise_form() -> None:
    """log q = sum log N(eps; 0, 1) - log sigma, and the standard normal likewise (float64, 1e-6)."""
    loc, scale = LOC.double(), SCALE.double()
    law = DiagonalGaussian(loc, scale=scale)
    noise = LiveNoise(2, dtype=torch.float64)
    z = law.draw(noise, 50).value
    eps = (z - loc) / scale
    by_noise = (-0.5 * eps**2 - 0.5 * math.log(2 * math.pi) - scale.log()).sum(-1)
    by_scipy = torch.as_tensor(stats.norm(loc.numpy(), scale.numpy()).logpdf(z.numpy())).sum(-1)
    assert torch.allclose(law.log_prob(z), by_noise, atol=1e-6)
    assert torch.allclose(law.log_prob(z), by_scipy, atol=1e-6)
    standard = StandardNormal((2,), torch.zeros((), dtype=torch.float64))
    assert torch.allclose(standard.log_prob(z), torch.as_tensor(stats.norm.logpdf(z.numpy())).sum(-1), atol=1e-6)


@pytest.mark.spec("RD03")
@pytest.mark.parametrize(
    ("mu", "sigma", "nats"), [(1.0, 1.0, 0.5), (0.0, math.e, 2.194528), (0.0, 0.5, 0.318147), (0.0, 1.0, 0.0)]
)
def test_divergence_from_the_standard_normal(mu: float, sigma: float, nats: float) -> None:
    law = DiagonalGaussian(torch.tensor([mu], dtype=torch.float64), scale=torch.tensor([sigma], dtype=torch.float64))
    standard = StandardNormal((1,), law.loc)
    assert float(law.kl(standard).sum()) == pytest.approx(nats, abs=1e-6)
    back = standard.kl(law)
    twin = distributions.kl_divergence(distributions.Normal(0.0, 1.0), distributions.Normal(mu, sigma))
    assert float(back.sum()) == pytest.approx(float(twin), abs=1e-6)


def test_divergences_equal_torch() -> None:
    a, b = gaussian(), DiagonalGaussian(LOC + 1, scale=SCALE * 3)
    twin = distributions.kl_divergence(distributions.Normal(LOC, SCALE), distributions.Normal(LOC + 1, SCALE * 3))
    assert torch.allclose(a.kl(b), twin)
    p, q = torch.tensor([0.4, -2.0]), torch.tensor([1.4, 3.0])
    twin = distributions.kl_divergence(distributions.Bernoulli(logits=p), distributions.Bernoulli(logits=q))
    assert torch.allclose(Bernoulli(p).kl(Bernoulli(q)), twin, atol=1e-6)
    p, q = torch.tensor([[0.1, 1.0, -0.5]]), torch.tensor([[2.0, 0.0, 0.5]])
    twin = distributions.kl_divergence(distributions.Categorical(logits=p), distributions.Categorical(logits=q))
    assert torch.allclose(Categorical(p).kl(Categorical(q)), twin)


@pytest.mark.spec("DM38", "VF02")
def test_bernoulli_is_a_normalised_law_of_pixels_even_for_extreme_logits() -> None:
    logits = torch.tensor([0.3, -80.0, 80.0, 2.0], dtype=torch.float64)
    law = Bernoulli(logits)
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 4)
    assert float(law.log_prob(corners).exp().sum()) == pytest.approx(1.0, abs=1e-12)
    x = torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=torch.float64)
    assert torch.allclose(law.unit_log_prob(x), x * logits - torch.nn.functional.softplus(logits))
    assert law.unit_log_prob(1 - x).isfinite().all()


@pytest.mark.parametrize("pixels", [7, 263, 784], ids="{} pixels".format)
@pytest.mark.parametrize("lead", [(), (5,), (2, 5)], ids=str)
def test_bernoulli_scores_the_same_with_and_without_gradients(lead: tuple[int, ...], pixels: int) -> None:
    """A prime number of pixels, one that splits into groups; logits near 0, where every factor is 2; and shared ones."""
    noise = LiveNoise(0, dtype=torch.float64)
    logits, grey = 30 * noise.normal((*lead, pixels)) * (noise.uniform((*lead, 1)) < 0.7), noise.uniform((5, pixels))
    for law in (Bernoulli(logits), Bernoulli(logits[..., :1].expand(logits.shape))):
        assert_scored_alike(law, grey)
        assert_scored_alike(law, (grey < 0.3).double())


def test_bernoulli_scores_what_products_in_float32_do_not_hold() -> None:
    """Rows at chance, confident and right, confident and wrong by 20 nats a pixel, by 100, and by 10 000 at one pixel."""
    logits = torch.tensor([0.0, 20.0, -20.0, -100.0, 20.0])[:, None].repeat(1, 784)
    logits[4, 5] = -1e4
    with torch.no_grad():
        found = Bernoulli(logits).log_prob(torch.ones(784))
    assert found.tolist() == pytest.approx(
        [-784 * math.log(2), -784 * 2.06e-9, -784 * 20, -784 * 100, -1e4], abs=1e-5, rel=1e-6
    )


def test_a_single_bernoulli_pixel_is_scored_without_gradients() -> None:
    with torch.no_grad():
        assert Bernoulli(torch.zeros(3), event_axes=0).log_prob(torch.ones(3)).tolist() == pytest.approx([-math.log(2)] * 3)


def assert_scored_alike(law: Bernoulli, grey: torch.Tensor) -> None:
    logits = law.logits
    with torch.no_grad():
        quick = law.log_prob(grey)
    exact = grey * torch.nn.functional.logsigmoid(logits) + (1 - grey) * torch.nn.functional.logsigmoid(-logits)
    torch.testing.assert_close(quick, exact.sum(-1), atol=1e-12, rtol=1e-13)
    torch.testing.assert_close(law.log_prob(grey), quick, atol=1e-12, rtol=1e-13)


def test_categorical_sums_to_one_and_draws_follow_it() -> None:
    law = Categorical(torch.tensor([0.1, 1.0, -0.5]))
    assert float(law.log_prob(torch.arange(3.0)).exp().sum()) == pytest.approx(1.0, abs=1e-6)
    counts = torch.bincount(law.draw(LiveNoise(0), 20000).value.long(), minlength=3)
    assert stats.chisquare(counts.numpy(), 20000 * law.log_probs.double().softmax(-1).numpy()).pvalue > 1e-4


def test_gaussian_and_bernoulli_draws_follow_their_laws() -> None:
    draws = gaussian().draw(LiveNoise(0), 20000).value[:, 0]
    for i in range(2):
        assert stats.kstest(draws[:, i].numpy(), stats.norm(float(LOC[0, i]), float(SCALE[0, i])).cdf).pvalue > 1e-4
    on = Bernoulli(torch.tensor([0.4, -1.2])).draw(LiveNoise(0), 20000).value.mean(0)
    p = torch.sigmoid(torch.tensor([0.4, -1.2]))
    assert ((on - p).abs() < 4 * (p * (1 - p) / 20000).sqrt()).all()


@pytest.mark.parametrize("name", SPREADS)
def test_every_way_of_writing_the_spread_means_what_it_says(name: str) -> None:
    raw = torch.tensor([[0.3, -2.0, -7.0, 2.5]], dtype=torch.float64)
    law = SPREADS[name](torch.zeros_like(raw), raw, 1)
    variance = {
        "exp": (2 * raw).exp(),
        "exp-half": raw.exp(),
        "clipped": raw.clamp(-6.0, 2.0).exp(),
        "softplus": torch.nn.functional.softplus(raw) ** 2,
        "softplus-variance": torch.nn.functional.softplus(raw),
    }[name]
    assert torch.allclose(law.scale**2, variance)
    assert torch.allclose(law.log_scale, variance.log() / 2)


@pytest.mark.parametrize("name", ["softplus", "softplus-variance"])
def test_a_softplus_that_rounds_to_nothing_leaves_densities_mixtures_and_gradients_finite(name: str) -> None:
    raw = torch.full((4, 3), -200.0, requires_grad=True)
    law = SPREADS[name](torch.zeros(4, 3), raw, 1)
    z = torch.full((2, 3), 1e-3)
    scored = law.log_prob(z.unsqueeze(1)).sum() + GaussianMixture(torch.zeros(4), law).log_prob(z).sum()
    (gradient,) = torch.autograd.grad(scored + law.kl(StandardNormal((3,), z)).sum(), raw)
    assert scored.isfinite()
    assert gradient.isfinite().all()


@pytest.mark.spec("VF22")
def test_the_reparameterised_gradient_is_unbiased_with_variance_four() -> None:
    """f = z^2 under N(mu, 1): the gradient 2z has mean 2 mu and variance 4."""
    for mu in (0.0, 1.0, 2.0):
        loc = torch.full((200000,), mu, requires_grad=True)
        z = DiagonalGaussian(loc, scale=torch.ones(()), event_axes=0).draw(LiveNoise(0)).value
        (gradient,) = torch.autograd.grad(z.square().sum(), loc)
        assert abs(float(gradient.mean()) - 2 * mu) < 4 * 2 / 200000**0.5
        assert float(gradient.var()) == pytest.approx(4.0, rel=0.03)


def test_densities_are_scored_in_float32_under_autocast() -> None:
    half = DiagonalGaussian(LOC.bfloat16(), log_scale=SCALE.log().bfloat16())
    assert half.log_prob(torch.zeros(1, 2)).dtype == torch.float32
    assert Bernoulli(torch.zeros(3).bfloat16()).log_prob(torch.ones(3)).dtype == torch.float32

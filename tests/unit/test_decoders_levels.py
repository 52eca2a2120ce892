"""Laws of 256 levels: they sum to 1, draws follow them, and they are the formulas of their papers."""

import math

import pytest
import torch
from scipy import stats
from torch import Tensor

from ratelab.core.batch import LiveNoise
from ratelab.core.law import Law
from ratelab.distributions.discretised import DiscretisedLogistic
from ratelab.distributions.levels import LEVELS, CategoricalLevels
from ratelab.distributions.logistic_mixture import LogisticMixture, mixture_parameters
from ratelab.distributions.quantised import QuantisedNormal

EVERY = torch.arange(LEVELS, dtype=torch.float64) / 255


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def table(law: Law) -> Tensor:
    """(256, \\*event): probabilities of all levels of every value."""
    units = law.unit_log_prob(EVERY.reshape(-1, *(1 for _ in law.event_shape)).expand(-1, *law.event_shape))
    assert units is not None
    return units.exp()


def follows(draws: Tensor, probabilities: Tensor) -> float:
    """p-value of a chi-square test of values (N,) against the law of the levels (256,), rare levels taken together."""
    counts = torch.bincount((draws * 255).round().long(), minlength=LEVELS).double()
    expected = probabilities.double() * len(draws)
    rare = expected < 5
    pooled = [torch.cat([v[~rare], v[rare].sum()[None]]) for v in (counts, expected)]
    keep = pooled[1] > 1e-6
    assert pooled[0][~keep].sum() == 0
    c, e = pooled[0][keep], pooled[1][keep]
    return float(stats.chisquare(c.numpy(), (e / e.sum() * c.sum()).numpy()).pvalue)


@pytest.mark.spec("DM40")
def test_the_categorical_law_sums_to_one_and_draws_follow_it() -> None:
    law = CategoricalLevels(2 * random(LEVELS, 3), event_axes=1)
    assert torch.allclose(table(law).sum(0), torch.ones(3, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(table(law), (2 * random(LEVELS, 3)).softmax(0))
    assert torch.allclose(law.mean, (table(law) * EVERY[:, None]).sum(0))
    draws = law.draw(LiveNoise(0), 20000).value
    assert all(follows(draws[:, i], table(law)[:, i]) > 1e-4 for i in range(3))


@pytest.mark.spec("VF49")
def test_the_discretised_logistic_sums_to_one() -> None:
    """Also with means outside the image and with scales from a hundredth of a level to a hundred images."""
    loc, log_scale = 2 * random(200), 3 * random(200, seed=1) - 2
    exact = table(DiscretisedLogistic(loc, log_scale)).sum(0)
    rough = table(DiscretisedLogistic(loc, log_scale, fallback=True)).sum(0)
    assert float((exact - 1).abs().max()) < 1e-9
    assert 1e-9 < float((rough - 1).abs().max()) < 1e-5
    lower = table(DiscretisedLogistic(loc, log_scale, bins="lower-edge")).sum(0)
    assert float(lower.max()) < 1 + 1e-9


@pytest.mark.parametrize("bins", ["centred", "lower-edge"])
def test_the_discretised_logistic_is_the_difference_of_two_sigmoids(bins: str) -> None:
    loc, log_scale = 0.5 * random(20), random(20, seed=1) - 2
    scale = log_scale.exp()
    mass = table(DiscretisedLogistic(loc, log_scale, bins=bins))  # type: ignore[arg-type]
    level = torch.arange(LEVELS, dtype=torch.float64)[:, None]
    if bins == "centred":  # on [-1, 1], the outer bins open
        v = 2 * level / 255 - 1
        cdf = torch.sigmoid((v + 1 / 255 - loc) / scale)
        cdf[-1] = 1.0
        expected = cdf - torch.cat([torch.zeros(1, 20), torch.sigmoid((v - 1 / 255 - loc) / scale)[1:]])
    else:  # on [0, 1]
        mu, s = (loc + 1) / 2, scale / 2
        expected = torch.sigmoid((level / 256 + 1 / 256 - mu) / s) - torch.sigmoid((level / 256 - mu) / s)
    assert torch.allclose(mass, expected, atol=1e-12)


def test_the_fallback_is_density_times_width_at_the_centre() -> None:
    law = DiscretisedLogistic(torch.tensor([0.9], dtype=torch.float64), torch.tensor([-5.0]).double(), fallback=True)
    x = torch.tensor([100 / 255], dtype=torch.float64)
    v, s = 2 * x - 1, math.exp(-5)
    density = stats.logistic(0.9, s).logpdf(v.numpy()).item() - math.log(127.5)
    assert float(law.unit_log_prob(x)) == pytest.approx(density, abs=1e-9)


def test_log_scales_stop_at_minus_seven() -> None:
    x = torch.tensor([0.5], dtype=torch.float64)
    a, b = (DiscretisedLogistic(x, torch.tensor([s]).double()).log_prob(x) for s in (-7.0, -50.0))
    assert torch.equal(a, b)


@pytest.mark.parametrize("bins", ["centred", "lower-edge"])
def test_discretised_logistic_draws_follow_it_and_the_mean_is_half_a_level_off_at_most(bins: str) -> None:
    loc = torch.tensor([0.2, -0.9, 0.97], dtype=torch.float64)
    law = DiscretisedLogistic(loc, torch.tensor([-2.0, -3.0, -4.5]).double(), bins=bins)  # type: ignore[arg-type]
    mass = table(law)
    if bins == "lower-edge":  # what falls outside lands on the outer levels
        outside = torch.sigmoid((-1 - loc) / law.log_scale.exp())
        mass[0] += outside
        mass[-1] += 1 - mass.sum(0)
    draws = law.draw(LiveNoise(0, dtype=torch.float64), 20000).value
    assert all(follows(draws[:, i], mass[:, i]) > 1e-4 for i in range(3))
    assert ((mass * EVERY[:, None]).sum(0) - law.mean).abs().max() < 0.51 / 255


@pytest.mark.spec("DM39")
def test_the_dequantised_bound_is_below_the_discrete_log_mass() -> None:
    loc, log_scale = torch.sigmoid(random(100)), random(100, seed=1) - 3
    law = QuantisedNormal(loc, log_scale)
    values = EVERY[:, None].expand(-1, 100)
    bound, mass = law.unit_log_prob(values), law.unit_log_mass(values)
    assert (bound <= mass + 1e-9).all()
    assert (bound < mass - 1e-3).any()
    edges = torch.as_tensor(stats.norm(loc.numpy(), log_scale.exp().numpy()).cdf((torch.arange(257)[:, None] / 256).numpy()))
    assert torch.allclose(mass.exp(), edges[1:] - edges[:-1], atol=1e-12)


@pytest.mark.spec("DM39")
def test_the_closed_form_is_the_mean_over_dequantisation_noise() -> None:
    loc, log_scale = torch.tensor([0.4, 0.7]).double(), torch.tensor([-3.0, -5.0]).double()
    law = QuantisedNormal(loc, log_scale)
    level = torch.tensor([100.0, 181.0], dtype=torch.float64)
    u = torch.rand(200000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sampled = torch.as_tensor(stats.norm(loc.numpy(), log_scale.exp().numpy()).logpdf(((level + u) / 256).numpy()))
    sampled = sampled - math.log(256)
    error = sampled.std(0) / 200000**0.5
    assert ((sampled.mean(0) - law.unit_log_prob(level / 255)).abs() < 4 * error).all()


def test_quantised_normal_draws_follow_their_bins() -> None:
    law = QuantisedNormal(torch.tensor([0.5, 0.99]).double(), torch.tensor([-3.0, -3.0]).double())
    mass = law.unit_log_mass(EVERY[:, None].expand(-1, 2)).exp()
    mass[-1] += 1 - mass.sum(0)
    draws = law.draw(LiveNoise(0, dtype=torch.float64), 20000).value
    assert all(follows(draws[:, i], mass[:, i]) > 1e-4 for i in range(2))
    assert float(law.mean[0]) == pytest.approx(float((mass[:, 0] * EVERY).sum()), abs=1e-4)


@pytest.mark.spec("HV12")
@pytest.mark.parametrize(("fallback", "tolerance"), [(False, 1e-9), (True, 1e-5)])
def test_the_mixture_sums_to_one(fallback: bool, tolerance: float) -> None:
    parameters = 2 * random(mixture_parameters(1, 10), 3, 4)
    law = LogisticMixture(parameters, channels=1, fallback=fallback)
    total = law.pixel_log_prob(EVERY.reshape(-1, 1, 1, 1).expand(-1, 1, 3, 4)).exp().sum(0)
    assert float((total - 1).abs().max()) < tolerance


@pytest.mark.spec("HV12")
def test_two_coupled_colours_sum_to_one_over_all_pairs_and_draws_follow_their_table() -> None:
    """All 65 536 pairs. One component's second colour leans on the first one strongly, another's not at all."""
    parameters = torch.zeros(mixture_parameters(2, 2), 1, 1, dtype=torch.float64)
    parameters[:, 0, 0] = torch.tensor([0.3, -0.3, 0.2, -0.5, 0.1, 0.4, -2.0, -2.5, -3.0, -2.0, 2.0, 0.0])
    law = LogisticMixture(parameters, channels=2, components=2)
    pairs = torch.cartesian_prod(EVERY, EVERY).reshape(-1, 2, 1, 1)
    mass = law.log_prob(pairs).exp().reshape(LEVELS, LEVELS)
    assert float(mass.sum()) == pytest.approx(1.0, abs=1e-9)
    draws = law.draw(LiveNoise(0, dtype=torch.float64), 50000).value[:, :, 0, 0]
    assert follows(draws[:, 0], mass.sum(1)) > 1e-4
    assert follows(draws[:, 1], mass.sum(0)) > 1e-4
    low = mass[:96].sum(0)
    given_low = draws[:, 1][draws[:, 0] < 95.5 / 255]
    assert follows(given_low, low / low.sum()) > 1e-4
    exact = torch.stack([(mass.sum(1) * EVERY).sum(), (mass.sum(0) * EVERY).sum()])
    assert torch.allclose(law.mean[:, 0, 0], exact, atol=0.01)


def test_three_colours_have_pixelcnnpps_hundred_parameters_and_couplings() -> None:
    """Against the published formulas, written out for one component."""
    assert mixture_parameters(3, 10) == 100
    logit, m, s, k = torch.zeros(1), random(3), random(3, seed=1) - 2, random(3, seed=2)
    law = LogisticMixture(torch.cat([logit, m, s, k])[:, None, None].double(), channels=3, components=1)
    x = torch.tensor([40.0, 90.0, 200.0], dtype=torch.float64) / 255
    v, t = 2 * x - 1, torch.tanh(k)
    locs = torch.stack([m[0], m[1] + t[0] * v[0], m[2] + t[1] * v[0] + t[2] * v[1]])
    expected = DiscretisedLogistic(locs, s).log_prob(x)
    assert torch.allclose(law.log_prob(x[:, None, None]), expected, atol=1e-10)

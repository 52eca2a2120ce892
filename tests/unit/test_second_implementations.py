"""Our flows and mixtures against other people's: pyro, zuko, torch, scipy, on the same parameters."""

import pytest
import torch
from pyro.distributions.transforms import AffineAutoregressive, AffineCoupling
from pyro.distributions.transforms.householder import ConditionedHouseholder
from pyro.distributions.transforms.planar import ConditionedPlanar
from pyro.distributions.transforms.radial import ConditionedRadial
from scipy import stats
from torch import Tensor, distributions
from zuko.transforms import AutoregressiveTransform

from ratelab.core.batch import LiveNoise
from ratelab.distributions.flowed import Flowed
from ratelab.distributions.flows.autoregressive import Affine, Gated, MeanOnly
from ratelab.distributions.flows.coupling import Nice, RealNvp
from ratelab.distributions.flows.householder import Householder
from ratelab.distributions.flows.planar import Planar
from ratelab.distributions.flows.radial import Radial
from ratelab.distributions.flows.step import Step
from ratelab.distributions.gaussians import DiagonalGaussian
from ratelab.distributions.logistic_mixture import LogisticMixture
from ratelab.distributions.mixtures import GaussianMixture

D = 6


def rough(step: Step) -> Step:
    """In float64, away from where it starts."""
    torch.manual_seed(3)
    step = step.double()
    with torch.no_grad():
        for p in step.parameters():
            p.add_(0.4 * torch.randn_like(p))
    return step


def points(*lead: int) -> Tensor:
    return LiveNoise(1, dtype=torch.float64).normal((*lead, D))


def same(ours: Step, theirs: distributions.Transform) -> None:
    """The same map with the same log-determinants."""
    z = points(2, 7)
    moved, log_det = ours(z)
    y = theirs(z)
    assert torch.allclose(moved, y, atol=1e-10)
    assert torch.allclose(log_det, theirs.log_abs_det_jacobian(z, y), atol=1e-6)  # pyro adds 1e-8 inside its logarithms


def test_planar_is_pyros() -> None:
    ours = rough(Planar(D))
    u, w, b = ours.dial(None).split([D, D, 1])
    same(ours, ConditionedPlanar((b, u, w)))


def test_radial_is_pyros() -> None:
    ours = rough(Radial(D))
    same(ours, ConditionedRadial(lambda: tuple(ours.dial(None).split([D, 1, 1]))))


def test_a_reflection_is_pyros() -> None:
    ours = rough(Householder(D))
    same(ours, ConditionedHouseholder(ours.dial(None).reshape(1, D)))


@pytest.mark.parametrize("kind", [Gated, Affine, MeanOnly])
def test_autoregressive_steps_are_pyros_and_zukos_in_both_directions(kind: type) -> None:
    ours = rough(kind(D, hidden=(16, 16)))

    def parameters(x: Tensor) -> tuple[Tensor, Tensor]:
        both = ours.made(x).unbind(-1)
        if kind is MeanOnly:
            return -both[0], torch.zeros_like(x)
        m, s = both
        if kind is Gated:
            return m, s - 2.0  # pyro adds a bias of 2
        s = 3.0 * torch.tanh(s / 3.0)
        return -m * torch.exp(-s), -s

    def shifted(x: Tensor) -> tuple[Tensor, Tensor]:
        shift, log_scale = parameters(x)
        return shift, log_scale.exp()

    same(ours, AffineAutoregressive(parameters, log_scale_min_clip=-9.0, log_scale_max_clip=9.0, stable=kind is Gated))
    if kind is not Gated:
        zuko = AutoregressiveTransform(lambda x: distributions.AffineTransform(*shifted(x)), passes=D)
        z = points(5)
        assert torch.allclose(ours(z).value, zuko(z), atol=1e-10)
        assert torch.allclose(ours.inverse(z).value, zuko.inv(z), atol=1e-10)


@pytest.mark.parametrize("kind", [RealNvp, Nice])
def test_couplings_are_pyros(kind: type) -> None:
    ours = rough(kind(D, hidden=(16,)))
    half = D - ours(points(1)).value.shape[-1] // 2

    def parameters(kept: Tensor) -> tuple[Tensor, Tensor]:
        moved = torch.cat([kept, torch.zeros_like(kept)], -1)
        shift = ours(moved).value[..., half:]
        slope = ours(torch.cat([kept, torch.ones_like(kept)], -1)).value[..., half:] - shift
        return shift, slope.log()

    same(ours, AffineCoupling(half, parameters, log_scale_min_clip=-9.0, log_scale_max_clip=9.0))


def test_the_density_behind_a_flow_is_torchs_and_pyros() -> None:
    ours = rough(Planar(D))
    u, w, b = ours.dial(None).split([D, D, 1])
    loc, scale = points(1)[0], points(2)[1].exp()
    base = distributions.Independent(distributions.Normal(loc, scale), 1)
    planar = ConditionedPlanar((b, u, w))
    law = Flowed(DiagonalGaussian(loc, scale=scale), ours)
    z, scored = law.draw(LiveNoise(2, dtype=torch.float64), 50)
    e = law.source(z).value
    expected = base.log_prob(e) - planar.log_abs_det_jacobian(e, planar(e))
    assert scored is not None
    assert torch.allclose(scored, expected, atol=1e-6)
    assert torch.allclose(law.log_prob(z.clone()), expected, atol=1e-6)


def test_a_mixture_of_gaussians_is_torchs() -> None:
    logits, loc, scale = points(1)[0, :4], points(4), points(5)[1:].exp()
    parts = distributions.Independent(distributions.Normal(loc, scale), 1)
    theirs = distributions.MixtureSameFamily(distributions.Categorical(logits=logits), parts)
    z = 2 * points(100)
    assert torch.allclose(
        GaussianMixture(logits, DiagonalGaussian(loc, scale=scale)).log_prob(z), theirs.log_prob(z), atol=1e-9
    )


def test_a_mixture_of_discretised_logistics_is_scipys() -> None:
    """Grey pixels: weights times differences of logistic distribution functions, the outer levels with open bins."""
    parameters = points(5).flatten()[:9].reshape(9, 1, 1)
    law = LogisticMixture(parameters, channels=1, components=3)
    weights, loc, scale = (part.flatten().numpy() for part in (law.log_weights.exp(), law.locs, law.log_scales.exp()))
    for level in (0, 1, 77, 128, 254, 255):
        x = 2 * level / 255 - 1
        upper = 1.0 if level == 255 else stats.logistic(loc, scale).cdf(x + 1 / 255)
        lower = 0.0 if level == 0 else stats.logistic(loc, scale).cdf(x - 1 / 255)
        mass = float((weights * (upper - lower)).sum())
        scored = law.log_prob(torch.full((1, 1, 1), level / 255, dtype=torch.float64)).exp()
        assert float(scored) == pytest.approx(mass, abs=1e-9)

"""Every flow of the table against automatic differentiation: log-determinants, inverses, and the formulas of each."""

import math

import pytest
import torch
from torch import Tensor, distributions
from torch.nn import functional as F

from ratelab.core.batch import MODE, LiveNoise, ModeNoise
from ratelab.core.errors import UserError
from ratelab.distributions.flowed import Flowed
from ratelab.distributions.flows import FLOWS
from ratelab.distributions.flows.autoregressive import Affine, Gated, MeanOnly
from ratelab.distributions.flows.coupling import Nice, RealNvp
from ratelab.distributions.flows.householder import Householder
from ratelab.distributions.flows.planar import Planar
from ratelab.distributions.flows.radial import Radial
from ratelab.distributions.flows.step import Composed, Inverse, Step, held_fixed
from ratelab.distributions.flows.sylvester import Sylvester
from ratelab.distributions.gaussians import DiagonalGaussian, StandardNormal

D = 5
ALL = pytest.mark.parametrize("name", FLOWS)
CONTEXTS = pytest.mark.parametrize("context", [0, 3])


def rough(step: Step, seed: int = 0, by: float = 0.3) -> Step:
    """The same step in float64, away from where it starts."""
    torch.manual_seed(seed)
    step = step.double()
    with torch.no_grad():
        for p in step.parameters():
            p.add_(by * torch.randn_like(p))
    return step


def made(name: str, size: int = D, context: int = 0) -> Step:
    torch.manual_seed(1)
    options = {"hidden": (16, 16)} if "hidden" in FLOWS[name].schema.model_fields else {}
    return rough(FLOWS[name].target(size, context, **options))


def points(*lead: int, size: int = D, seed: int = 2) -> Tensor:
    return LiveNoise(seed, dtype=torch.float64).normal((*lead, size))


def jacobian(step: Step, z: Tensor, context: Tensor | None = None) -> Tensor:
    return torch.autograd.functional.jacobian(lambda at: step(at, context).value, z)


@ALL
@CONTEXTS
def test_log_determinants_equal_autograd_and_inverses_invert(name: str, context: int) -> None:
    flow = Composed([made(name, context=context), made(name, context=context)])
    z, h = points(2, 4), points(4, size=3) if context else None
    moved, log_det = flow(z, h)
    back, log_det_back = flow.inverse(moved, h)
    assert tuple(log_det.shape) == (2, 4)
    assert torch.allclose(back, z, atol=1e-8)
    assert torch.allclose(log_det_back, -log_det, atol=1e-8)
    for k in range(2):
        for b in range(4):
            own = torch.linalg.slogdet(jacobian(flow, z[k, b], None if h is None else h[b])).logabsdet
            assert abs(float((own - log_det[k, b]).detach())) < 1e-5


@ALL
def test_inverses_are_differentiable(name: str) -> None:
    flow = made(name)
    z = points()
    there = jacobian(flow, z)
    back = jacobian(Inverse(flow), flow(z).value)
    assert torch.allclose(there @ back, torch.eye(D, dtype=torch.float64), atol=1e-6)
    value = flow(z).value.detach()
    by_hand = torch.autograd.grad(flow.inverse(value).value.sum(), list(flow.parameters()), allow_unused=True)
    # f(g(y; theta); theta) = y for every theta, so dg/dtheta = -(df/dz)^-1 df/dtheta.
    pulled = torch.linalg.solve(there.T, -torch.ones(D, dtype=torch.float64))
    implicit = torch.autograd.grad((flow(z).value * pulled).sum(), list(flow.parameters()), allow_unused=True)
    for a, b in zip(by_hand, implicit, strict=True):
        assert torch.allclose(
            torch.zeros(1).double() if a is None else a, torch.zeros(1).double() if b is None else b, atol=1e-6
        )


@ALL
def test_single_precision_stays_near_double(name: str) -> None:
    flow = made(name)
    z = points(50)
    double, back = flow(z), flow.inverse(z)
    single, single_back = flow.float()(z.float()), flow.inverse(z.float())
    for a, b in ((double, single), (back, single_back)):
        assert torch.allclose(a.value, b.value.double(), atol=1e-3, rtol=1e-3)
        assert torch.allclose(a.log_det, b.log_det.double(), atol=1e-3, rtol=1e-3)


@pytest.mark.spec("VF36")
def test_log_determinants_add_over_steps() -> None:
    steps = [made(name) for name in ("planar", "real-nvp", "radial")]
    z = points(6)
    composed = Composed(steps)
    at, total = z, torch.zeros(6, dtype=torch.float64)
    for position, step in enumerate(steps):
        at = at.flip(-1) if position and step.ordered else at
        at, log_det = step(at)
        total = total + log_det
    assert torch.allclose(composed(z).value, at)
    assert torch.allclose(composed(z).log_det, total)
    for b in range(6):
        assert abs(float((torch.linalg.slogdet(jacobian(composed, z[b])).logabsdet - total[b]).detach())) < 1e-8


@pytest.mark.spec("VF37")
def test_planar_determinant_is_one_plus_u_psi_and_stays_positive() -> None:
    for seed in range(20):
        step = rough(Planar(D), seed, by=4.0)
        z = 3 * points(30, seed=seed)
        u, w, b, along = step._parameters_at(None)
        assert float(along) > -1
        assert torch.allclose(u @ w, along)
        psi = (1 - torch.tanh(z @ w + b).square()).unsqueeze(-1) * w
        assert torch.allclose(step(z).log_det, torch.log(1 + psi @ u), atol=1e-8)
        assert torch.allclose(step.inverse(step(z).value).value, z, atol=1e-5)
    fresh = Planar(D).double()
    assert torch.allclose(fresh(points(3)).value, points(3), atol=1e-6), "starts at the identity"


@pytest.mark.spec("VF37")
def test_planar_and_radial_are_the_published_maps() -> None:
    """The same maps written with the published symbols (Rezende and Mohamed 2015, eq. 10 and 14)."""
    planar, z = rough(Planar(D)), points(7)
    u, w, b, _ = planar._parameters_at(None)
    assert torch.allclose(planar(z).value, z + u * torch.tanh(z @ w + b).unsqueeze(-1))
    radial = rough(Radial(D))
    centre, alpha, beta = radial._parameters_at(None)
    r = (z - centre).norm(dim=-1, keepdim=True)
    assert torch.allclose(radial(z).value, z + beta / (alpha + r) * (z - centre))


@pytest.mark.spec("VF38")
def test_radial_determinant_and_the_bound_on_beta() -> None:
    for seed in range(20):
        step = rough(Radial(D), seed, by=4.0)
        z = 3 * points(30, seed=seed)
        centre, alpha, beta = step._parameters_at(None)
        assert float(alpha) > 0
        assert float(beta) >= -float(alpha)
        r = (z - centre).norm(dim=-1)
        h, slope = 1 / (alpha + r), -1 / (alpha + r).square()
        det = (1 + beta * h) ** (D - 1) * (1 + beta * h + beta * slope * r)
        assert torch.allclose(step(z).log_det, det.log(), atol=1e-8)
        assert torch.allclose(step.inverse(step(z).value).value, z, atol=1e-5)


@pytest.mark.spec("VF39")
def test_the_autoregressive_gaussian_is_drawn_in_sequence_and_inverted_in_parallel() -> None:
    """y_i = mu_i(y_<i) + sigma_i(y_<i) e_i one after another; back in one pass with log det -sum log sigma."""
    step = rough(Affine(D, hidden=(16,)))
    e = points(4)
    y = torch.zeros_like(e)
    for i in range(D):
        mu, log_sigma = step._split(step.made(y))
        y[:, i] = mu[:, i] + log_sigma[:, i].exp() * e[:, i]
    drawn, log_det = step.inverse(e)
    assert torch.allclose(drawn, y)
    back, log_det_back = step(y)
    assert torch.allclose(back, e)
    assert torch.allclose(log_det_back, -step._split(step.made(y))[1].sum(-1))
    assert torch.allclose(log_det, -log_det_back)


@pytest.mark.spec("VF40")
def test_gated_flow_is_algorithm_three() -> None:
    torch.manual_seed(0)
    steps = [rough(Gated(D, 3, hidden=(16,)), seed) for seed in range(3)]
    mu, sigma, h = points(4), points(4).exp(), points(4, size=3)
    law = Flowed(DiagonalGaussian(mu, scale=sigma), Composed(steps), h)
    noise = LiveNoise(5, dtype=torch.float64)
    z, scored = law.draw(noise)
    e = LiveNoise(5, dtype=torch.float64).normal((4, D))
    at = sigma * e + mu
    log_q = -(sigma.log() + 0.5 * e.square() + 0.5 * math.log(2 * math.pi)).sum(-1)
    for t, step in enumerate(steps):
        at = at.flip(-1) if t else at
        m, s = step.made(at, h).unbind(-1)
        gate = torch.sigmoid(s)
        at = gate * at + (1 - gate) * m
        log_q = log_q - gate.log().sum(-1)
    assert torch.allclose(z, at)
    assert scored is not None
    assert torch.allclose(scored, log_q)
    assert torch.allclose(law.log_prob(z.clone()), log_q)


@pytest.mark.spec("VF40")
def test_gated_flow_keeps_most_at_the_start_and_all_in_the_limit() -> None:
    torch.manual_seed(0)
    step = Gated(D, hidden=(16,)).double()
    assert 0.6 < float(step(points(50)).log_det.mean().div(D).exp()) < 0.95
    with torch.no_grad():
        step.made.out.bias[1::2] = 40.0
    assert torch.allclose(step(points(50)).value, points(50), atol=1e-6)


@pytest.mark.spec("VF41")
def test_one_linear_step_on_a_diagonal_gaussian_is_a_full_gaussian() -> None:
    step = rough(MeanOnly(D, hidden=()))
    mu, sigma = points(), points().exp()
    law = Flowed(DiagonalGaussian(mu, scale=sigma), step)
    linear = jacobian(step, mu)
    covariance = linear @ torch.diag(sigma.square()) @ linear.T
    twin = distributions.MultivariateNormal(step(mu).value, covariance)
    z = 2 * points(40)
    assert torch.allclose(law.log_prob(z), twin.log_prob(z))
    assert covariance.triu(1).abs().max() > 0.1


@pytest.mark.spec("VF44")
def test_additive_coupling_keeps_volume_and_half_of_the_coordinates() -> None:
    step = rough(Nice(D, hidden=(16,)))
    z = points(6)
    moved, log_det = step(z)
    assert torch.equal(log_det, torch.zeros(6, dtype=torch.float64))
    assert torch.equal(moved[:, :2], z[:, :2])
    assert (moved[:, 2:] - z[:, 2:]).abs().min() > 1e-4
    assert abs(float(torch.linalg.det(jacobian(step, z[0]))) - 1) < 1e-9


@pytest.mark.spec("DM37")
def test_real_nvp_inverts_in_one_pass() -> None:
    step = rough(RealNvp(D, hidden=(16,)))
    z = points(6)
    moved, log_det = step(z)
    assert torch.allclose(step.inverse(moved).value, z, atol=1e-9)
    for b in range(6):
        assert abs(float((torch.linalg.slogdet(jacobian(step, z[b])).logabsdet - log_det[b]).detach())) < 1e-8
    assert log_det.abs().min() > 1e-3


@pytest.mark.spec("VF45", "N31")
def test_householder_is_a_reflection_and_sylvester_has_its_determinant() -> None:
    mirror = rough(Householder(D))
    matrix = jacobian(mirror, points())
    assert torch.allclose(matrix @ matrix, torch.eye(D, dtype=torch.float64), atol=1e-12)
    assert float(torch.linalg.det(matrix)) == pytest.approx(-1.0)
    step, z = rough(Sylvester(D), by=1.0), points(6)
    r, inner, b, v = step._parameters_at(None)
    q = torch.stack([step._rotate(row, v) for row in torch.eye(D, dtype=torch.float64)], dim=1)
    assert torch.allclose(q.T @ q, torch.eye(D, dtype=torch.float64), atol=1e-12)
    bend = torch.tanh(z @ q @ inner.T + b)
    assert torch.allclose(step(z).value, z + bend @ r.T @ q.T)
    det = (1 + (1 - bend.square()) * r.diagonal() * inner.diagonal()).prod(-1)
    assert torch.allclose(step(z).log_det, det.log())
    assert (r.diagonal() * inner.diagonal() > -1).all()


@pytest.mark.spec("N31")
def test_a_neural_autoregressive_step_is_monotone_in_its_own_coordinate_and_may_bend_it() -> None:
    step = made("naf", 2)
    z = torch.stack([torch.zeros(200), torch.linspace(-6, 6, 200)], -1).double()
    moved = step(z).value[:, 1]
    assert (moved.diff() > 0).all()
    assert moved.diff().diff().abs().max() > 1e-4
    assert torch.allclose(step.inverse(step(z).value).value, z, atol=1e-6)


@ALL
def test_densities_integrate_to_one_and_draws_follow_them(name: str) -> None:
    """On a 2-D grid, and chi-square over its cells."""
    base = DiagonalGaussian(torch.tensor([0.2, -0.1]).double(), scale=torch.tensor([0.8, 1.1]).double())
    law = Flowed(base, made(name, 2))
    side = torch.linspace(-9, 9, 181, dtype=torch.float64)
    middles = 0.5 * (side[1:] + side[:-1])
    with torch.no_grad():
        mass = law.log_prob(torch.cartesian_prod(middles, middles)).exp().reshape(180, 180) * 0.1**2
        drawn = law.draw(LiveNoise(3, dtype=torch.float64), 20000).value
    assert float(mass.sum()) == pytest.approx(1.0, abs=1e-3)
    cells = mass.reshape(36, 5, 36, 5).sum((1, 3))
    seen = torch.histogramdd(drawn, bins=36, range=[-9.0, 9.0, -9.0, 9.0]).hist
    often = cells * 20000 > 10
    expected = torch.cat([cells[often], 1 - cells[often].sum().reshape(1)]) * 20000
    counts = torch.cat([seen[often], 20000 - seen[often].sum().reshape(1)])
    freedom = len(expected) - 1
    assert float(((counts - expected).square() / expected).sum()) < freedom + 5 * (2 * freedom) ** 0.5


def test_a_mode_request_pushes_the_mode_of_the_base() -> None:
    flow = made("iaf")
    law = Flowed(DiagonalGaussian(points(3), scale=points(3).exp()), flow)
    assert torch.equal(law.draw(ModeNoise(dtype=torch.float64)).value, flow(points(3)).value)
    assert torch.equal(law.mean, flow(points(3)).value)
    assert MODE.normal((1,)).item() == 0


def test_a_drawn_value_is_scored_without_inverting_and_any_other_by_inverting() -> None:
    flow = made("iaf")
    calls: list[int] = []
    inverse = flow.inverse
    flow.inverse = lambda *a: calls.append(1) or inverse(*a)  # type: ignore[method-assign]
    law = Flowed(DiagonalGaussian(points(3), scale=points(3).exp()), flow)
    z, scored = law.draw(LiveNoise(0, dtype=torch.float64), 4)
    assert scored is not None
    assert torch.equal(law.log_prob(z), scored)
    assert not calls
    assert torch.allclose(law.log_prob(z.clone()), scored)
    assert calls


def test_a_detached_twin_holds_flow_base_and_context_fixed_but_not_the_value() -> None:
    flow = made("iaf", context=3)
    mu, h = points(4).requires_grad_(), points(4, size=3).requires_grad_()
    law = Flowed(DiagonalGaussian(mu, scale=torch.ones_like(mu)), flow, h)
    z = points(4, seed=9).requires_grad_()
    law.detached().log_prob(z).sum().backward()
    assert z.grad is not None
    assert mu.grad is None
    assert h.grad is None
    assert all(p.grad is None for p in flow.parameters())
    assert torch.allclose(law.detached().log_prob(z), law.log_prob(z))
    assert all(p.requires_grad for p in flow.parameters())
    assert not any(p.requires_grad for p in held_fixed(flow).parameters())


def test_mistakes_are_one_line() -> None:
    with pytest.raises(UserError, match="did you mean 'planar'"):
        FLOWS.resolve("planer", "model.encoder.flow")
    with pytest.raises(UserError, match="at least 2"):
        FLOWS.build(FLOWS.resolve("nice", "f"), 1)


def test_a_flow_of_the_standard_normal_draws_as_many_as_asked() -> None:
    law = Flowed(StandardNormal((D,), torch.zeros((), dtype=torch.float64)), made("spline"))
    assert tuple(law.draw(LiveNoise(0, dtype=torch.float64), 6).value.shape) == (6, D)
    assert tuple(F.relu(law.mean).shape) == (D,)

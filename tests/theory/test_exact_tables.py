"""The functionals on finite tables: against plain enumeration, and the identities and bounds between them."""

import math
from collections.abc import Callable
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ratelab.core.errors import UserError
from ratelab.exact.discrete import entropy, kl
from ratelab.exact.tables import FiniteTables, random_tables

EXACT = 1e-10
MANY = random_tables(7, 5, seed=1, models=(1000,))


def uniform(n: int) -> Tensor:
    return torch.full((n,), 1.0 / n, dtype=torch.float64)


def random_density(x: int, seed: int, models: tuple[int, ...] = ()) -> Tensor:
    return random_tables(x, 2, seed, models).data


def close(left: Tensor, right: Tensor) -> bool:
    return bool(((left - right).abs() < EXACT).all())


def with_zeros(tables: FiniteTables) -> FiniteTables:
    """The same tables with every entry below a quarter of the uniform value removed; at least the largest stays."""

    def prune(table: Tensor) -> Tensor:
        kept = torch.where(table < 0.25 / table.shape[-1], 0.0, table)
        return kept / kept.sum(-1, keepdim=True)

    return FiniteTables(prune(tables.data), prune(tables.encoder), tables.decoder, tables.marginal)


class Enumeration:
    """The definitions, as loops over plain numbers."""

    def __init__(self, tables: FiniteTables) -> None:
        self.p, self.e = tables.data.tolist(), tables.encoder.tolist()
        self.d, self.m = tables.decoder.tolist(), tables.marginal.tolist()
        self.xs, self.zs = range(len(self.p)), range(len(self.m))

    def expect(self, joint: str, log_ratio: Callable[[int, int], float]) -> float:
        total = 0.0
        for x, z in product(self.xs, self.zs):
            weight = self.p[x] * self.e[x][z] if joint == "encoder" else self.m[z] * self.d[z][x]
            total += weight * log_ratio(x, z) if weight else 0.0
        return total

    def p_e(self, z: int) -> float:
        return sum(self.p[x] * self.e[x][z] for x in self.xs)

    def p_d(self, x: int) -> float:
        return sum(self.m[z] * self.d[z][x] for z in self.zs)


@pytest.fixture(params=[0, 1, 2])
def tables(request: pytest.FixtureRequest) -> FiniteTables:
    return with_zeros(random_tables(6, 4, seed=request.param))


@pytest.mark.spec("RD01")
def test_entropy_by_enumeration(tables: FiniteTables) -> None:
    expected = -sum(p * math.log(p) for p in tables.data.tolist() if p)
    assert tables.entropy.item() == pytest.approx(expected, abs=EXACT)
    assert entropy(uniform(30)).item() == pytest.approx(math.log(30), abs=EXACT)


@pytest.mark.spec("RD02")
def test_distortion_by_enumeration(tables: FiniteTables) -> None:
    loops = Enumeration(tables)
    expected = loops.expect("encoder", lambda x, z: -math.log(loops.d[z][x]))
    assert tables.distortion.item() == pytest.approx(expected, abs=EXACT)
    assert torch.dot(tables.data, tables.distortions).item() == pytest.approx(expected, abs=EXACT)


@pytest.mark.spec("RD03")
def test_rate_by_enumeration(tables: FiniteTables) -> None:
    loops = Enumeration(tables)
    expected = loops.expect("encoder", lambda x, z: math.log(loops.e[x][z] / loops.m[z]))
    assert tables.rate.item() == pytest.approx(expected, abs=EXACT)


@pytest.mark.spec("RD04")
def test_representational_information_by_enumeration(tables: FiniteTables) -> None:
    loops = Enumeration(tables)
    expected = loops.expect("encoder", lambda x, z: math.log(loops.e[x][z] / loops.p_e(z)))
    assert tables.encoder_information.item() == pytest.approx(expected, abs=EXACT)


@pytest.mark.spec("RD05")
def test_generative_information_by_enumeration(tables: FiniteTables) -> None:
    loops = Enumeration(tables)
    expected = loops.expect("model", lambda x, z: math.log(loops.d[z][x] / loops.p_d(x)))
    assert tables.model_information.item() == pytest.approx(expected, abs=EXACT)


def test_functionals_with_a_density_by_enumeration(tables: FiniteTables) -> None:
    full = random_tables(6, 4, seed=9)
    loops, q = Enumeration(full), random_density(6, seed=3)
    e = loops.expect("model", lambda x, z: math.log(loops.e[x][z] / loops.m[z]))
    g = loops.expect("model", lambda x, z: math.log(loops.d[z][x] / q[x].item()))
    u = loops.expect("encoder", lambda x, z: math.log(loops.d[z][x] / q[x].item()))
    s = loops.expect("encoder", lambda x, z: math.log(loops.p[x] / q[x].item()))
    got = [full.e_functional, full.g_functional(q), full.u_functional(q), full.s_functional(q)]
    assert [value.item() for value in got] == pytest.approx([e, g, u, s], abs=EXACT)


@pytest.mark.spec("RD06")
def test_u_minus_s_is_entropy_minus_distortion_for_every_q() -> None:
    q = random_density(7, seed=2, models=(1000,))
    assert close(MANY.u_functional(q) - MANY.s_functional(q), MANY.entropy - MANY.distortion)


@pytest.mark.spec("RD07")
def test_s_is_a_divergence_from_the_data() -> None:
    q = random_density(7, seed=2, models=(1000,))
    assert bool((MANY.s_functional(q) > 0).all())
    assert close(MANY.s_functional(MANY.data), torch.zeros(1000))
    cross_entropy = -(MANY.data * torch.log(q)).sum(-1)
    assert close(MANY.s_functional(q), cross_entropy - MANY.entropy)


@pytest.mark.spec("RD08")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("x", "z"), [(2, 2), (4, 9), (30, 30)])
def test_sandwich_on_a_thousand_random_quadruples(x: int, z: int, seed: int) -> None:
    many = random_tables(x, z, seed, models=(1000,))
    information = many.encoder_information
    assert bool((many.entropy - many.distortion <= information + EXACT).all())
    assert bool((information <= many.rate + EXACT).all())
    # The chain would hold for I = 0 too; the mutual information of random tables is strictly inside.
    assert bool((information > 0).all())
    assert bool((information <= torch.minimum(many.entropy, entropy(many.aggregated_posterior)) + EXACT).all())


@pytest.mark.spec("RD09")
def test_gap_of_the_upper_bound() -> None:
    assert close(MANY.rate - MANY.encoder_information, MANY.marginal_gap)
    assert close(MANY.with_optimal_marginal().rate, MANY.encoder_information)


@pytest.mark.spec("RD10")
def test_gap_of_the_lower_bound() -> None:
    assert close(MANY.encoder_information - (MANY.entropy - MANY.distortion), MANY.decoder_gap)
    best = MANY.with_optimal_decoder()
    assert close(best.entropy - best.distortion, MANY.encoder_information)


@pytest.mark.spec("RD11")
def test_gap_of_the_elbo_is_the_divergence_of_the_joints() -> None:
    gap = MANY.distortion + MANY.rate - MANY.entropy
    assert close(gap, MANY.joint_gap)
    assert close(gap, MANY.marginal_gap + MANY.decoder_gap)


@pytest.mark.spec("RD12")
def test_optimal_marginal_is_a_stationary_minimum() -> None:
    tables = random_tables(6, 4, seed=5)
    logits = torch.log(tables.aggregated_posterior).requires_grad_()
    at_optimum = FiniteTables(tables.data, tables.encoder, tables.decoder, logits.softmax(-1)).rate
    (gradient,) = torch.autograd.grad(at_optimum, logits)
    assert gradient.abs().max().item() < EXACT
    moved = (logits.detach() + torch.tensor([0.3, 0, 0, 0])).requires_grad_()
    away = FiniteTables(tables.data, tables.encoder, tables.decoder, moved.softmax(-1)).rate
    assert torch.autograd.grad(away, moved)[0].abs().max().item() > 1e-3
    assert away.item() > at_optimum.item()


@pytest.mark.spec("RD13")
def test_optimal_decoder_is_a_stationary_minimum() -> None:
    tables = random_tables(6, 4, seed=5)
    logits = torch.log(tables.encoder_posterior).requires_grad_()
    at_optimum = FiniteTables(tables.data, tables.encoder, logits.softmax(-1), tables.marginal).distortion
    (gradient,) = torch.autograd.grad(at_optimum, logits)
    assert gradient.abs().max().item() < EXACT
    moved = (logits.detach() + 0.3 * torch.eye(4, 6)).requires_grad_()
    away = FiniteTables(tables.data, tables.encoder, moved.softmax(-1), tables.marginal).distortion
    assert torch.autograd.grad(away, moved)[0].abs().max().item() > 1e-3
    assert away.item() > at_optimum.item()


@pytest.mark.spec("RD14")
def test_generative_lower_bound_and_its_gap() -> None:
    assert bool((MANY.e_functional <= MANY.model_information).all())
    assert close(MANY.model_information - MANY.e_functional, MANY.e_gap)
    assert close(MANY.with_optimal_encoder().e_functional, MANY.model_information)


@pytest.mark.spec("RD15")
def test_generative_upper_bound_and_its_gap() -> None:
    q = random_density(7, seed=2, models=(1000,))
    assert bool((MANY.g_functional(q) >= MANY.model_information).all())
    assert close(MANY.g_functional(q) - MANY.model_information, MANY.g_gap(q))
    assert close(MANY.g_functional(MANY.model_marginal), MANY.model_information)


@pytest.mark.spec("RD16")
def test_reparameterised_bound() -> None:
    q = random_density(7, seed=2, models=(1000,))
    lower = MANY.u_functional(q) - MANY.s_functional(q)
    assert bool((lower <= MANY.encoder_information).all())
    assert bool((MANY.encoder_information <= MANY.rate).all())
    best = MANY.with_optimal_decoder()
    assert close(best.u_functional(q) - best.s_functional(q), MANY.encoder_information)


def test_with_all_partners_optimal_everything_coincides() -> None:
    best = MANY.with_optimal_marginal().with_optimal_decoder()
    values = [
        best.e_functional,
        best.model_information,
        best.g_functional(best.data),
        best.rate,
        best.entropy - best.distortion,
    ]
    assert all(close(value, best.encoder_information) for value in values)
    assert close(best.model_joint, best.encoder_joint)


@pytest.mark.spec("DM01")
def test_elbo_surgery() -> None:
    within = (MANY.data * kl(MANY.encoder, MANY.aggregated_posterior.unsqueeze(-2))).sum(-1)
    assert close(MANY.rate, kl(MANY.aggregated_posterior, MANY.marginal) + within)
    assert close(within, MANY.encoder_information)
    # With N equally likely points I_e <= log N.
    points = FiniteTables(uniform(7), MANY.encoder, MANY.decoder, MANY.marginal)
    assert bool((points.rate - math.log(7) <= points.marginal_gap).all())
    assert bool((points.marginal_gap <= points.rate).all())
    assert bool((points.marginal_gap <= points.joint_gap + EXACT).all())


@pytest.mark.spec("VF11")
def test_three_forms_of_the_elbo_agree() -> None:
    assert close(MANY.elbos, -(MANY.distortions + MANY.rates))
    assert close(MANY.elbos, MANY.log_evidence - MANY.posterior_gaps)
    assert close(MANY.neg_elbo, MANY.distortion + MANY.rate)


@pytest.mark.spec("VF12")
def test_evidence_is_elbo_plus_posterior_divergence(tables: FiniteTables) -> None:
    loops = Enumeration(tables)
    for x in loops.xs:
        posterior = [loops.m[z] * loops.d[z][x] / loops.p_d(x) for z in loops.zs]
        gap = sum(e * math.log(e / posterior[z]) for z, e in enumerate(loops.e[x]) if e)
        assert tables.posterior_gaps[x].item() == pytest.approx(gap, abs=EXACT)
        assert (tables.elbos[x] + gap).item() == pytest.approx(math.log(loops.p_d(x)), abs=EXACT)
    exact = tables.with_optimal_encoder()
    assert close(exact.elbos, exact.log_evidence)


@pytest.mark.spec("VF13")
def test_divergence_of_the_joints_splits_over_the_data() -> None:
    over_data = MANY.model_gap + (MANY.data * MANY.posterior_gaps).sum(-1)
    assert close(MANY.joint_gap, over_data)
    assert close(MANY.joint_gap, MANY.neg_elbo - MANY.entropy)
    assert bool((MANY.joint_gap >= MANY.model_gap).all())


def test_zeros_cancel_and_missing_support_is_infinite() -> None:
    half = uniform(2)
    lossless = FiniteTables(half, torch.eye(2), torch.eye(2), half)
    assert lossless.rate.item() == pytest.approx(math.log(2))
    assert lossless.distortion.item() == 0
    assert lossless.joint_gap.item() == pytest.approx(0, abs=EXACT)
    swapped = FiniteTables(half, torch.eye(2), torch.eye(2).flip(0), torch.tensor([1.0, 0.0]))
    assert swapped.rate.item() == swapped.distortion.item() == swapped.joint_gap.item() == math.inf
    assert swapped.e_functional.item() == -math.inf
    unused = FiniteTables(half, torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.eye(2), half)
    assert close(unused.encoder_posterior[1], half)
    assert unused.decoder_gap.item() == math.inf
    assert unused.with_optimal_decoder().decoder_gap.item() == 0


def test_gradients_are_finite_at_zeros() -> None:
    encoder = torch.eye(3, dtype=torch.float64).requires_grad_()
    marginal = torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64)
    data = torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64)
    tables = FiniteTables(data, encoder, torch.eye(3), marginal)
    (gradient,) = torch.autograd.grad(tables.rate + tables.distortion + tables.encoder_information, encoder)
    assert bool(torch.isfinite(gradient).all())


def test_probabilities_that_underflow_together_stay_finite() -> None:
    tiny = torch.tensor([1e-200, 1.0], dtype=torch.float64)
    tables = FiniteTables(tiny, torch.eye(2), torch.eye(2), tiny)
    assert tables.encoder_information.item() == pytest.approx(0, abs=EXACT)


@settings(max_examples=50, deadline=None)
@given(x=st.integers(1, 12), z=st.integers(1, 12), seed=st.integers(0, 10**6))
def test_identities_survive_zeros_at_any_size(x: int, z: int, seed: int) -> None:
    tables = with_zeros(random_tables(x, z, seed))
    assert close(tables.rate - tables.encoder_information, tables.marginal_gap)
    assert close(tables.encoder_information - tables.entropy + tables.distortion, tables.decoder_gap)
    assert close(tables.neg_elbo - tables.entropy, tables.joint_gap)


def test_random_tables_repeat_with_their_seed() -> None:
    assert torch.equal(random_tables(5, 3, seed=4).encoder, random_tables(5, 3, seed=4).encoder)
    assert not torch.equal(random_tables(5, 3, seed=4).encoder, random_tables(5, 3, seed=5).encoder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": torch.tensor([0.5, 0.6])}, "data: probabilities must sum to 1"),
        ({"data": torch.tensor([1.5, -0.5])}, "data: probabilities must be numbers >= 0"),
        ({"data": torch.tensor([math.nan, 1.0])}, "data: probabilities must be numbers >= 0"),
        ({"encoder": torch.full((3, 2), 0.5)}, "encoder: expected"),
        ({"decoder": torch.full((3, 2), 0.5)}, "decoder: expected"),
        ({"marginal": torch.tensor(1.0)}, "marginal: expected a table"),
    ],
)
def test_mistakes_are_named(change: dict[str, Tensor], message: str) -> None:
    good = {"data": uniform(2), "encoder": torch.eye(2), "decoder": torch.eye(2), "marginal": uniform(2)}
    with pytest.raises(UserError, match=message):
        FiniteTables(**{**good, **change})

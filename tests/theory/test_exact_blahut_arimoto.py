"""Blahut-Arimoto against sources and channels whose curves and capacities are known."""

import math

import pytest
import torch
from scipy.optimize import brentq
from scipy.stats import norm
from torch import Tensor

from ratelab.core.errors import UserError
from ratelab.exact.blahut_arimoto import channel_capacity, fixed_decoder_curve, rate_distortion
from ratelab.exact.discrete import entropy, mutual_information
from ratelab.exact.tables import FiniteTables, random_tables


def binary_entropy(p: Tensor | float) -> Tensor:
    q = torch.as_tensor(p, dtype=torch.float64)
    return entropy(torch.stack((q, 1 - q), dim=-1))


def toy_classes(bins: int = 30, reach: float = 4.0) -> tuple[Tensor, Tensor]:
    """P(x|c) (2, 30) and p(c) of two discretised normals at -1 and 1 whose spread makes I(x; c) exactly 0.5."""
    classes = torch.tensor([0.7, 0.3], dtype=torch.float64)

    def law(spread: float) -> Tensor:
        edges = torch.linspace(-reach, reach, bins + 1, dtype=torch.float64)[1:-1].numpy()
        rows = [torch.as_tensor(norm.cdf(edges, mean, spread)) for mean in (-1.0, 1.0)]
        ends = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
        return torch.stack([torch.cat((ends[0], row, ends[1])).diff() for row in rows])

    spread = brentq(lambda s: mutual_information(classes[:, None] * law(s)).item() - 0.5, 0.3, 1.5, xtol=1e-15)
    return law(spread), classes


@pytest.mark.parametrize("p", [0.5, 0.7])
def test_binary_source_with_hamming_distortion(p: float) -> None:
    data = torch.tensor([p, 1 - p], dtype=torch.float64)
    betas = torch.tensor([0.2, 0.4, 0.7, 1.0], dtype=torch.float64)
    points = rate_distortion(data, 1 - torch.eye(2), betas)
    expected = (binary_entropy(p) - binary_entropy(points.distortion)).clamp_min(0)
    torch.testing.assert_close(points.rate, expected, atol=1e-10, rtol=0)
    torch.testing.assert_close(points.distortion, torch.sigmoid(-1 / betas), atol=1e-6, rtol=0)
    assert bool((points.gap <= 1e-12).all())


@pytest.mark.spec("RD18")
def test_curve_of_a_random_source_is_monotone_and_convex() -> None:
    generator = torch.Generator().manual_seed(0)
    costs = torch.rand(6, 5, dtype=torch.float64, generator=generator)
    betas = torch.logspace(-2, 0, 30, dtype=torch.float64)
    points = rate_distortion(random_tables(6, 2, seed=1).data, costs, betas, tolerance=1e-9)
    assert bool((points.rate.diff() <= 1e-8).all())
    assert bool((points.distortion.diff() >= -1e-8).all())
    # Each tangent, of slope -beta, supports the whole curve.
    lagrangians = points.distortion + betas[:, None] * points.rate
    assert bool((lagrangians.diagonal()[:, None] <= lagrangians + points.gap[:, None] + 1e-12).all())


def test_result_is_consistent_and_no_table_beats_it() -> None:
    tables = random_tables(6, 4, seed=0, models=(500,))
    data, costs = tables.data[0], -torch.log(tables.decoder[0]).mT
    point = rate_distortion(data, costs, 0.7, tolerance=1e-10)
    achieved = FiniteTables(data, point.encoder, tables.decoder[0], point.marginal)
    assert achieved.rate.item() == pytest.approx(point.rate.item(), abs=1e-12)
    assert achieved.distortion.item() == pytest.approx(point.distortion.item(), abs=1e-12)
    others = FiniteTables(data, tables.encoder, tables.decoder[0], tables.marginal)
    best = point.distortion + 0.7 * point.rate - point.gap
    assert bool((others.distortion + 0.7 * others.rate >= best).all())


def test_fixed_true_decoder_touches_the_entropy_line_at_slope_one() -> None:
    decoder, classes = toy_classes()
    data = classes @ decoder
    assert entropy(data).item() == pytest.approx(2.731876, abs=1e-6)
    weight_on_distortion = torch.tensor([0.5, 0.9, 1.0, 1.1], dtype=torch.float64)
    points = fixed_decoder_curve(data, decoder, 1 / weight_on_distortion)
    assert points.rate[2].item() == pytest.approx(0.5, abs=1e-6)
    assert points.distortion[2].item() == pytest.approx(2.231876, abs=1e-6)
    above = points.distortion + points.rate - entropy(data)
    assert above.tolist() == pytest.approx([0.0744, 9.3e-4, 0.0, 6e-4], abs=5e-5)
    assert above[2].item() == pytest.approx(0, abs=1e-10)


def test_iteration_limit_reports_its_gap() -> None:
    decoder, classes = toy_classes()
    position = torch.arange(30, dtype=torch.float64)
    squared = (position[:, None] - position) ** 2
    stopped = rate_distortion(classes @ decoder, squared, 2.0, limit=50)
    further = rate_distortion(classes @ decoder, squared, 2.0, limit=5000)
    assert stopped.iterations == 50
    assert stopped.gap.item() > 1e-12
    worse = stopped.distortion + 2 * stopped.rate - further.distortion - 2 * further.rate
    assert -1e-12 <= worse.item() <= stopped.gap.item()


def test_forbidden_pairs_and_values_that_never_occur() -> None:
    data = torch.tensor([0.5, 0.5, 0.0])
    costs = torch.full((3, 3), math.inf).fill_diagonal_(0.0)
    point = rate_distortion(data, costs, 0.01)
    assert point.rate.item() == pytest.approx(math.log(2))
    assert point.distortion.item() == 0
    assert FiniteTables(data, point.encoder, torch.eye(3), point.marginal).rate.item() == pytest.approx(math.log(2))


@pytest.mark.spec("IM14")
@pytest.mark.parametrize("flip", [0.0, 0.01, 0.11, 0.4, 0.5])
def test_capacity_of_the_binary_symmetric_channel(flip: float) -> None:
    channel = torch.tensor([[1 - flip, flip], [flip, 1 - flip]], dtype=torch.float64)
    assert channel_capacity(channel).value.item() == pytest.approx(math.log(2) - binary_entropy(flip).item(), abs=1e-10)


@pytest.mark.spec("IM14")
def test_capacity_of_asymmetric_channels() -> None:
    erasure = torch.tensor([[0.7, 0.0, 0.3], [0.0, 0.7, 0.3]], dtype=torch.float64)
    assert channel_capacity(erasure).value.item() == pytest.approx(0.7 * math.log(2), abs=1e-10)
    flip = 0.3
    z_channel = torch.tensor([[1.0, 0.0], [flip, 1 - flip]], dtype=torch.float64)
    found = channel_capacity(z_channel)
    closed = math.log1p((1 - flip) * flip ** (flip / (1 - flip)))
    assert found.value.item() == pytest.approx(closed, abs=1e-10)
    attained = mutual_information(found.source[:, None] * z_channel)
    assert attained.item() == pytest.approx(closed, abs=1e-10)


def test_capacity_bounds_every_source() -> None:
    tables = random_tables(6, 4, seed=3, models=(500,))
    channel = tables.decoder[0]
    found = channel_capacity(channel)
    information = mutual_information(tables.marginal.unsqueeze(-1) * channel)
    assert bool((information <= found.value + found.gap).all())
    assert found.gap.item() <= 1e-9


def test_mistakes_are_named() -> None:
    half = torch.tensor([0.5, 0.5])
    with pytest.raises(UserError, match="beta: must be greater than 0"):
        rate_distortion(half, torch.eye(2), 0.0)
    with pytest.raises(UserError, match=r"distortion: expected \(X, Z\)"):
        rate_distortion(half, torch.eye(3), 1.0)
    with pytest.raises(UserError, match="every row x needs at least one finite"):
        rate_distortion(half, torch.full((2, 2), math.inf), 1.0)
    with pytest.raises(UserError, match="channel: expected a matrix"):
        channel_capacity(half)

"""The aggregated posterior against quadrature, closed forms and brute force: its divergence, the information, the units in use."""

import math

import numpy as np
import pytest
import torch
from linear import linear_model, world
from toys import CASES, NO_RATE, build

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.core.passes import Layer, Pass
from ratelab.distributions.gaussians import DiagonalGaussian, StandardNormal
from ratelab.divergences import mixture_density
from ratelab.divergences.mixture_density import log_sum_others
from ratelab.estimators import ESTIMATORS
from ratelab.estimators.active_units import ActiveUnits
from ratelab.estimators.averages import Column
from ratelab.estimators.codes import Codes
from ratelab.estimators.marginal_kl import MarginalKL
from ratelab.evaluation import check_estimators, evaluate
from ratelab.exact.linear_gaussian import LinearGaussianVAE


def codes_of(loc: torch.Tensor, scale: torch.Tensor, samples: int, seed: int = 0) -> Codes:
    """Codes N(loc_n, scale_n^2) with ``samples`` draws each, against m = N(0, I)."""
    noise = LiveNoise(seed, dtype=torch.float64)
    law = DiagonalGaussian(loc, scale=scale)
    layer = Layer(law.draw(noise, samples).value, law, StandardNormal(tuple(loc.shape[1:]), loc))
    codes = Codes(10**6)
    codes.add(layer, Batch(loc), noise)
    return codes


@pytest.mark.parametrize(("s", "n"), [(1, 1), (3, 2), (300, 5000), (256, 2048)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_scores_by_products_are_the_scores(s: int, n: int, dtype: torch.dtype) -> None:
    torch.manual_seed(s)
    loc, log_scale = 3 + torch.randn(n, 4, dtype=dtype), 0.5 * torch.randn(n, 4, dtype=dtype) - 1
    own = torch.randint(-1, n, (s,))
    z = loc[own.clamp_min(0)] + 0.3 * torch.randn(s, 4, dtype=dtype)
    law = DiagonalGaussian(loc.double(), log_scale=log_scale.double())
    every = law.log_prob(z.double().unsqueeze(1))
    every[own >= 0] = every[own >= 0].scatter(1, own[own >= 0, None], -torch.inf)
    expected = every.logsumexp(-1)
    found = log_sum_others(z, loc, log_scale, own)
    assert torch.equal(found.isinf(), expected.isinf())
    finite = expected.isfinite()
    assert (found - expected)[finite].abs().max() < (1e-9 if dtype == torch.float64 else 1e-3) if finite.any() else True


def test_narrow_components_are_scored_in_double_precision() -> None:
    """Components a thousandth as wide as they lie apart: float32 products would be off by nats."""
    torch.manual_seed(0)
    loc, log_scale = 100 * torch.randn(50, 8), torch.full((50, 8), -3.0)
    z = loc + log_scale.exp() * torch.randn(50, 8)
    exact = DiagonalGaussian(loc.double(), log_scale=log_scale.double()).log_prob(z.double().unsqueeze(1)).logsumexp(-1)
    assert (log_sum_others(z, loc, log_scale, torch.full((50,), -1)) - exact).abs().max() < 1e-3


def test_far_components_count_for_nothing_and_break_nothing() -> None:
    loc = torch.tensor([[0.0], [1e4]])
    found = log_sum_others(torch.zeros(1, 1), loc, torch.zeros(2, 1), torch.tensor([-1]))
    assert float(found) == pytest.approx(-0.5 * math.log(2 * math.pi), abs=1e-6)


@pytest.mark.spec("DM07")
@pytest.mark.parametrize("variance", [0.0025, 0.3, 2.0])
def test_divergence_of_a_gaussian_mixture_agrees_with_quadrature(variance: float) -> None:
    """q(z) = mean of N(x, v) over five x; the standard error is that of independent draws from the five components."""
    centres = torch.tensor([-1.3, -0.4, 0.1, 0.9, 2.0], dtype=torch.float64).unsqueeze(1)
    scale = torch.full((5, 1), math.sqrt(variance), dtype=torch.float64)
    grid = torch.linspace(-15, 15, 300001, dtype=torch.float64)
    log_q = DiagonalGaussian(centres, scale=scale).log_prob(grid.view(-1, 1, 1)).logsumexp(-1) - math.log(5)
    truth = float(torch.trapezoid(log_q.exp() * (log_q + 0.5 * grid.square() + 0.5 * math.log(2 * math.pi)), grid))
    estimator = MarginalKL(samples=20000)
    estimator.codes = codes_of(centres, scale, 20000)
    others = estimator.codes.log_others()
    values = estimator.codes.log_total(others) - estimator.codes.log_marginal
    error = float((values.var(1) / values.shape[1]).sum().sqrt()) / 5
    assert abs(float(estimator.result()["marginal_kl"].value) - truth) < 4 * error
    assert error < 0.01


def test_codes_that_do_not_depend_on_x_have_their_own_divergence_and_no_information() -> None:
    estimator = MarginalKL(samples=50)
    estimator.codes = codes_of(torch.full((200, 2), 0.7, dtype=torch.float64), torch.full((200, 2), 0.5).double(), 50)
    found = estimator.result()
    closed = 2 * (math.log(1 / 0.5) + (0.25 + 0.49) / 2 - 0.5)
    for name in ("marginal_kl", "marginal_kl_lower"):
        assert abs(found[name].value - closed) < 4 * found[name].stderr
    for name in ("information", "information_upper"):
        assert abs(found[name].value) < 1e-9
    standard = MarginalKL(samples=3)
    standard.codes = codes_of(torch.zeros(20, 1, dtype=torch.float64), torch.ones(20, 1).double(), 3)
    assert standard.result()["marginal_kl"].value == pytest.approx(0.0, abs=1e-12)


def test_the_published_example_of_too_few_components() -> None:
    """N = 200 narrow codes: leaving each draw's own out is far too low, the mixture over all is right."""
    torch.manual_seed(1)
    loc = torch.randn(200, 1, dtype=torch.float64)
    estimator = MarginalKL(samples=20)
    estimator.codes = codes_of(loc, torch.full((200, 1), 0.05).double(), 20)
    found = estimator.result()
    assert found["marginal_kl_lower"].value < -1 < 0 < found["marginal_kl"].value < 0.4


def linear(beta: float, n: int, seed: int, width: float = 1.0) -> tuple[LinearGaussianVAE, dict]:
    exact, dataset = world(beta, n=n, seed=seed)
    wide = LinearGaussianVAE(
        exact.mean, exact.covariance, exact.encoder_weight, exact.encoder_bias + 0.3,
        width * exact.encoder_covariance, exact.decoder_weight, exact.decoder_bias, exact.sigma2,
    )  # fmt: skip
    found, _ = evaluate(
        linear_model(wide, dataset), dataset, "test", [ESTIMATORS.resolve("marginal-kl", "e")], seed=seed, batch_size=5000
    )
    return wide, found


@pytest.mark.spec("RD29", "RD30")
@pytest.mark.parametrize("beta", [0.25, 2.0])
def test_information_and_divergence_are_bracketed_in_expectation(beta: float) -> None:
    """Over 60 small data sets: own term <= I_e <= leave-one-out, and the divergence the other way round."""
    runs = [linear(beta, 25, seed) for seed in range(60)]
    exact = runs[0][0]
    truth = {"information": float(exact.encoder_information), "marginal_kl": float(exact.marginal_gap)}

    def mean(name: str) -> tuple[float, float]:
        values = np.array([found[name].value for _, found in runs])
        return values.mean(), values.std() / 60**0.5

    for low, high in (("information", "information_upper"), ("marginal_kl_lower", "marginal_kl")):
        (below, error_below), (above, error_above) = mean(low), mean(high)
        value = truth["information" if "information" in low else "marginal_kl"]
        assert below < value + 4 * error_below
        assert above > value - 4 * error_above
        assert below < above
    assert all(found["information"].value <= math.log(25) + 1e-9 for _, found in runs), "never above log N"
    assert mean("information")[0] <= float(exact.rate) + 4 * mean("information")[1]


def test_with_many_examples_both_sides_meet_at_the_closed_form() -> None:
    exact, found = linear(6.0, 4000, 0, width=1.0)
    for name, truth in (("information", exact.encoder_information), ("marginal_kl", exact.marginal_gap)):
        assert abs(found[name].value - float(truth)) < 4 * found[name].stderr + 0.01, name
    assert found["information_upper"].value - found["information"].value < 0.01
    assert found["marginal_kl"].value - found["marginal_kl_lower"].value < 0.01


NODE = ESTIMATORS.resolve("marginal-kl", "e")
CODED = [case for case in CASES if not check_estimators(*build(case), [NODE])]


def test_models_without_a_density_of_x_alone_are_refused() -> None:
    assert set(NO_RATE) | {"auxiliary", "hamiltonian", "bottom-up", "tables", "toy"} <= set(CASES) - set(CODED)
    assert {"vae", "hierarchy of two", "vae, full covariance", "vae, categorical"} <= set(CODED)


@pytest.mark.spec("DM02", "RD29", "RD30")
@pytest.mark.parametrize("case", CODED)
def test_surgery_on_every_model(case: str) -> None:
    """Rate - log N <= KL <= rate, they differ by the information, and every score is that of the law itself, with its own and without."""
    model, dataset = build(case)
    model.double().eval()
    x = torch.as_tensor(dataset.train.x[:12]).double() * dataset.scale
    estimator = MarginalKL(samples=3)
    with torch.no_grad():
        estimator.observe(model, Batch(x[:7]), LiveNoise(0, dtype=torch.float64))
        estimator.observe(model, Batch(x[7:]), LiveNoise(1, dtype=torch.float64))
        found, codes = estimator.result(), estimator.codes
        laws = [model(Batch(part), LiveNoise(0, dtype=torch.float64)).layers[0].encoder for part in (x[:7], x[7:])]
        draws = [
            model(Batch(part), LiveNoise(seed, dtype=torch.float64), 3).layers[0].z for seed, part in ((0, x[:7]), (1, x[7:]))
        ]
        z = torch.cat(draws, 1).transpose(0, 1)  # (12, 3, *event)
        scores = torch.cat([law.log_prob(z.unsqueeze(2).expand(-1, -1, law.batch_shape[0], *z.shape[2:])) for law in laws], -1)
    total = scores.logsumexp(-1) - math.log(12)
    assert torch.allclose(codes.log_total(codes.log_others()), total, atol=1e-6)
    rate = float((codes.log_own - codes.log_marginal).mean())
    divergence, information = found["marginal_kl"].value, found["information"].value
    assert divergence + information == pytest.approx(rate)
    assert -4 * found["information"].stderr <= information <= math.log(12) + 1e-9
    own = torch.eye(12, dtype=torch.bool).unsqueeze(1)
    left_out = scores.masked_fill(own, -torch.inf).logsumexp(-1) - math.log(11)
    assert found["information_upper"].value == pytest.approx(float((codes.log_own - left_out).mean()), abs=1e-6)
    assert found["marginal_kl_lower"].value == pytest.approx(float((left_out - codes.log_marginal).mean()), abs=1e-6)
    assert ("of layer" in found["marginal_kl"].of) == (len(model.latent_shapes) > 1)


def rows_of(x: np.ndarray, y: np.ndarray | None = None) -> Split:
    return Split(x.astype(np.float32), y)


@pytest.mark.spec("DM07")
def test_the_mixture_may_be_over_training_and_validation_examples() -> None:
    """As published: q(z) is over all of both, draws are of them, and the split that is measured plays no part."""
    exact, dataset = world(0.5, n=130)
    x = dataset.test.x
    parted = Dataset("parted", Support.REAL, rows_of(x[:70]), rows_of(x[70:100]), rows_of(x[100:]))
    pooled = Dataset("pooled", Support.REAL, rows_of(x), rows_of(x), rows_of(x[:100]))
    model = linear_model(exact, dataset)
    many = ESTIMATORS.resolve({"name": "marginal-kl", "samples": 400, "over": "train+validation"}, "e")
    found, _ = evaluate(model, parted, "test", [many], seed=0)
    again, _ = evaluate(model, parted, "validation", [many], seed=0)
    wanted, _ = evaluate(model, pooled, "test", [{**many, "over": "split"}], seed=1)
    for name in ("marginal_kl", "marginal_kl_lower", "information", "information_upper"):
        assert found[name].n == again[name].n == wanted[name].n == 100
        assert found[name].value == pytest.approx(wanted[name].value, abs=0.03), "the same mixture, other draws"
        assert found[name].value == pytest.approx(again[name].value, abs=0.03)
        assert "over 100 training and validation examples" in found[name].of
    rate = found["marginal_kl"].value + found["information"].value
    assert rate - math.log(100) <= found["marginal_kl"].value <= rate
    assert wanted["marginal_kl"].of == "KL(q(z) || m(z))"


def test_training_examples_that_are_drawn_anew_are_shown_as_zeros_and_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (30, 3)).astype(np.uint8)
    held = rows_of(np.round(grey / 255.0))
    dataset = Dataset("resampled", Support.BINARY, Split(grey), held, held, resampled=True)
    shown: list[torch.Tensor] = []
    monkeypatch.setattr(MarginalKL, "observe_training", lambda self, model, batch, noise, examples: shown.append(batch.x))
    monkeypatch.setattr(MarginalKL, "result", lambda self: {})
    exact, linear = world(1.0, n=2)
    evaluate(linear_model(exact, linear), dataset, "test", [{**NODE, "over": "train+validation"}], seed=0)
    assert [len(x) for x in shown] == [30, 30]
    assert all(set(x.unique().tolist()) <= {0.0, 1.0} for x in shown)
    assert float((shown[0] - torch.as_tensor(held.x)).abs().sum()) > 0, "drawn, not rounded"


def test_only_as_many_examples_as_asked_for_are_scored() -> None:
    exact, dataset = world(2.0, n=3000)
    model = linear_model(exact, dataset)
    whole, _ = evaluate(model, dataset, "test", [NODE], seed=0)
    part, _ = evaluate(model, dataset, "test", [ESTIMATORS.resolve({"name": "marginal-kl", "examples": 500}, "e")], seed=0)
    assert (whole["marginal_kl"].n, part["marginal_kl"].n) == (3000, 500)
    assert abs(whole["information"].value - part["information"].value) < 4 * part["information"].stderr


@pytest.mark.spec("DM62")
@pytest.mark.parametrize(("beta", "used"), [(0.25, 3), (2.0, 2), (6.0, 1), (12.0, 0)])
def test_active_units_are_those_above_the_water_level(beta: float, used: int) -> None:
    exact, dataset = world(beta, n=500)
    found, _ = evaluate(linear_model(exact, dataset), dataset, "test", [ESTIMATORS.resolve("active-units", "e")], seed=0)
    (count,) = found["active_units"]
    assert count.value == used
    assert count.unit == "1"
    assert ESTIMATORS.resolve("active-units", "e")["threshold"] == 0.01


@pytest.mark.spec("DM62")
def test_a_unit_is_active_above_a_hundredth_of_variance() -> None:
    """Of what averages of eight draws vary, an eighth of the variance within an example does not count."""
    estimator, ends = ActiveUnits(samples=8), np.array([[-1.0, 1.0]])
    estimator.means = [Column([np.concatenate([math.sqrt(v / 2) * ends for v in (0.0101, 0.0099, 0.015, 0.5)])])]
    estimator.within = [Column([np.array([[0.0] * 2, [0.0] * 2, [8 * 0.006] * 2, [8 * 0.4] * 2])])]
    (count,) = estimator.result()["active_units"]
    assert count.value == 2


def test_active_units_are_counted_in_every_layer_and_behind_flows() -> None:
    for case, sizes in (("hierarchy of two", (2, 3)), ("vae, real-nvp flow", (3,)), ("auxiliary", (3,))):
        model, dataset = build(case)
        node = ESTIMATORS.resolve({"name": "active-units", "threshold": 1e-12}, "e")
        found, _ = evaluate(model, dataset, "train", [node], seed=0)
        assert len(found["active_units"]) == len(sizes)
        assert all(each.value <= size for each, size in zip(found["active_units"], sizes, strict=True))
        assert [each.of.split(" with")[0] for each in found["active_units"]] == [
            f"units of layer {len(sizes) - i}" for i in range(len(sizes))
        ]


def test_draws_that_stand_in_for_means_do_not_make_idle_units_active() -> None:
    """A flow whose latents do not depend on x: its draws vary, its means do not."""
    model, dataset = build("vae, real-nvp flow")
    with torch.no_grad():
        model.encoder.head.out.weight.zero_()
    node = ESTIMATORS.resolve({"name": "active-units", "samples": 200}, "e")
    found, _ = evaluate(model, dataset, "train", [node], seed=0)
    assert found["active_units"][0].value == 0


class Chain:
    """z_2 ~ N(0, I) and z_1 ~ N(z_2, I / 4), whatever x is."""

    def __call__(self, batch: Batch, noise: LiveNoise, samples: int) -> Pass:
        top = noise.normal((samples, batch.size, 3))
        low = top + 0.5 * noise.normal(top.shape)
        law = StandardNormal((3,), batch.x)
        return Pass(
            batch, batch.x, (Layer(top, law, law), Layer(low, DiagonalGaussian(top, scale=torch.tensor(0.5)), law)), None
        )


def test_the_variance_of_a_lower_layer_is_that_of_all_its_draws() -> None:
    estimator = ESTIMATORS.build(ESTIMATORS.resolve("posterior-variance", "e"))
    estimator.observe(Chain(), Batch(torch.zeros(2000, 1)), LiveNoise(0))
    for found, truth in zip(estimator.result()["posterior_variance"], (1.0, 1.25), strict=True):
        assert abs(found.value - truth) < 4 * found.stderr < 0.05


def test_a_deterministic_encoder_has_no_variance() -> None:
    model, dataset = build("vae, deterministic")
    (found,) = evaluate(model, dataset, "test", [ESTIMATORS.resolve("posterior-variance", "e")], seed=0)[0][
        "posterior_variance"
    ]
    assert found.value == 0


@pytest.mark.parametrize("name", ["marginal-kl", "active-units"])
def test_one_example_is_too_few(name: str) -> None:
    x = np.zeros((1, 3), dtype=np.float32)
    dataset = Dataset("one", Support.REAL, Split(x), Split(x), Split(x))
    exact, _ = world(1.0, n=2)
    with pytest.raises(UserError, match="at least 2"):
        evaluate(linear_model(exact, dataset), dataset, "test", [ESTIMATORS.resolve(name, "e")], seed=0)


@pytest.mark.parametrize("columns", [1, 2, 7, 2048])
@pytest.mark.parametrize("apart", [0.1, 30.0, 3000.0])
def test_blocks_add_up_wherever_the_largest_score_lies(columns: int, apart: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes so far apart that most scores are thousands of nats below 0, own components in any block, alone in one, or none.

    What is left of a score near a code is as exact as the largest numbers that meet in it.
    """
    monkeypatch.setattr(mixture_density, "COLUMNS", columns)
    stream = torch.Generator().manual_seed(0)
    loc = apart * torch.randn(9, 3, generator=stream, dtype=torch.float64)
    log_scale = 0.3 * torch.randn(9, 3, generator=stream, dtype=torch.float64)
    z = loc + log_scale.exp() * torch.randn(9, 3, generator=stream, dtype=torch.float64)
    law = DiagonalGaussian(loc, log_scale=log_scale)
    each = law.log_prob(z.unsqueeze(1))
    for own in (torch.arange(9), torch.full((9,), -1)):
        known = each.clone()
        known[torch.arange(9)[own >= 0], own[own >= 0]] = -torch.inf
        assert torch.allclose(
            log_sum_others(z, loc, log_scale, own), known.logsumexp(-1), rtol=1e-9, atol=1e-15 * float(each.abs().max())
        )


def test_blocks_are_small() -> None:
    assert mixture_density.ROWS * mixture_density.COLUMNS * 4 <= 4e6, "bytes of float32 scores that are held at once"

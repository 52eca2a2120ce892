"""Marginals: normalised, drawn from as they score, equal to independent implementations, and cheap where they claim to be."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, distributions, nn

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.law import Law
from ratelab.distributions.flowed import Flowed
from ratelab.distributions.gaussians import DiagonalGaussian, StandardNormal
from ratelab.distributions.logistic import UNIT_VARIANCE, Logistic
from ratelab.distributions.mixtures import GaussianMixture, Mixture
from ratelab.encoders import ENCODERS
from ratelab.marginals import CONDITIONALS, MARGINALS
from ratelab.models import MODELS

SMALL = {"name": "mlp", "hidden": [16]}
EVENT = (1, 4, 4)
OPTIONS: dict[str, dict] = {
    "mixture": {"components": 4},
    "maf": {"steps": 2, "hidden": [16, 16]},
    "real-nvp": {"steps": 2, "hidden": [16]},
    "flow": {"flow": {"name": "spline", "hidden": [16]}, "steps": 2},
    "vamp": {"pseudo_inputs": 6},
}
CASES = {
    **{name: {"name": name, **OPTIONS.get(name, {})} for name in MARGINALS if name != "categorical"},
    "affine maf": {"name": "maf", "steps": 2, "hidden": [16], "affine": True},
    "vamp on a flow": {"name": "vamp", "pseudo_inputs": 6},
    "vamp on a full Gaussian": {"name": "vamp", "pseudo_inputs": 6},
}
ENCODER = {
    "vamp on a flow": {"name": "flow", "flow": {"name": "real-nvp", "hidden": [8]}, "steps": 2},
    "vamp on a full Gaussian": {"name": "full-gaussian"},
}
CONTINUOUS = pytest.mark.parametrize("case", CASES)


def dataset(n: int = 30, support: Support = Support.BINARY) -> Dataset:
    x = np.random.default_rng(0).random((n, *EVENT))
    split = Split((x < 0.4).astype(np.uint8) if support is Support.BINARY else (4 * x).astype(np.float32))
    return Dataset("images", support, split, split, split)


def encoder(node: dict | None = None, latent_dim: int = 2) -> nn.Module:
    torch.manual_seed(0)
    built = ENCODERS.build(ENCODERS.resolve({"network": SMALL, **(node or {"name": "gaussian"})}, "e"), EVENT, (latent_dim,))
    return roughened(built.double())


def roughened(module: nn.Module, by: float = 0.2) -> nn.Module:
    torch.manual_seed(5)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(by * torch.randn_like(p))
    return module


def marginal(node: dict, latent_dim: int = 2, data: Dataset | None = None) -> nn.Module:
    torch.manual_seed(0)
    return MARGINALS.build(MARGINALS.resolve(node, "m"), (latent_dim,), data or dataset()).double()


def law_of(case: str) -> Law:
    return roughened(marginal(CASES[case]))(encoder(ENCODER.get(case)))


def noise(seed: int = 0) -> LiveNoise:
    return LiveNoise(seed, dtype=torch.float64)


@CONTINUOUS
@pytest.mark.spec("RD34")
@torch.no_grad()
def test_densities_integrate_to_one_and_draws_follow_them(case: str) -> None:
    """On a 2-D grid, 1 +- 1e-3, and chi-square over its cells."""
    law = law_of(case)
    side = torch.linspace(-12, 12, 481, dtype=torch.float64)
    middles = 0.5 * (side[1:] + side[:-1])
    mass = law.log_prob(torch.cartesian_prod(middles, middles)).exp().reshape(480, 480) * 0.05**2
    assert float(mass.sum()) == pytest.approx(1.0, abs=1e-3)
    cells = mass.reshape(48, 10, 48, 10).sum((1, 3))
    seen = torch.histogramdd(law.draw(noise(3), 20_000).value, bins=48, range=[-12.0, 12.0, -12.0, 12.0]).hist
    often = cells * 20_000 > 10
    expected = torch.cat([cells[often], 1 - cells[often].sum().reshape(1)]) * 20_000
    counts = torch.cat([seen[often], 20_000 - seen[often].sum().reshape(1)])
    freedom = len(expected) - 1
    assert float(((counts - expected).square() / expected).sum()) < freedom + 5 * (2 * freedom) ** 0.5


@CONTINUOUS
def test_twins_units_and_single_precision(case: str) -> None:
    law = law_of(case)
    z, scored = law.draw(noise(), 50)
    total = law.log_prob(z.clone())
    assert scored is None or torch.allclose(scored, total)
    assert torch.allclose(law.detached().log_prob(z.detach()), total)
    assert not law.detached().log_prob(z.detach()).requires_grad
    assert tuple(law.mean.shape) == (2,)
    units = law.unit_log_prob(z)
    assert units is None or torch.allclose(units.sum(-1), total)
    single = roughened(marginal(CASES[case])).float()(encoder(ENCODER.get(case)).float())
    assert torch.allclose(single.log_prob(z.detach().float()).double(), total, rtol=1e-4, atol=1e-3)


@pytest.mark.spec("RD34")
@pytest.mark.parametrize("affine", [False, True])
def test_a_maf_scores_in_parallel_what_it_drew_in_sequence(affine: bool) -> None:
    law = roughened(marginal({"name": "maf", "hidden": [16, 16], "affine": affine}, 6))(None)
    assert isinstance(law, Flowed)
    z, scored = law.draw(noise(), 40)
    assert scored is not None
    assert torch.allclose(law.log_prob(z.clone()), scored, atol=1e-9)
    source = law.source(z.clone()).value
    assert torch.allclose(source, noise().normal((40, 6)), atol=1e-9)
    if not affine:
        assert torch.allclose(scored, StandardNormal((6,), z).log_prob(source)), "mean-only steps keep volume"


@pytest.mark.spec("RD34")
def test_the_plus_marginal_has_the_published_size() -> None:
    built = MARGINALS.build(MARGINALS.resolve("maf", "m"), (64,))
    assert sum(p.numel() for p in built.parameters()) == 3_612_416


@pytest.mark.spec("RD35")
def test_a_vamp_prior_of_all_data_with_equal_weights_is_the_aggregate_posterior() -> None:
    data, built = dataset(), encoder()
    prior = marginal({"name": "vamp", "pseudo_inputs": 30})
    x = torch.as_tensor(data.train.x).double()
    with torch.no_grad():
        prior.inputs.copy_(x)
    z = noise().normal((50, 2))
    aggregate = torch.logsumexp(built(x).log_prob(z.unsqueeze(1)), 1) - math.log(30)
    assert torch.allclose(prior(built).log_prob(z), aggregate)
    with torch.no_grad():
        prior.logits.copy_(torch.arange(30.0))
    law = prior(built)
    assert law.log_weights.exp().sum().item() == pytest.approx(1.0)
    weights = torch.arange(30.0).double().softmax(0)
    weighted = torch.logsumexp(weights.log() + built(x).log_prob(z.unsqueeze(1)), 1)
    assert torch.allclose(law.log_prob(z), weighted)
    assert prior.logits.requires_grad
    assert not marginal({"name": "vamp", "pseudo_inputs": 30, "weighted": False}).logits.requires_grad


@pytest.mark.spec("RD35")
def test_a_vamp_prior_of_one_is_a_single_gaussian() -> None:
    built = encoder()
    prior = marginal({"name": "vamp", "pseudo_inputs": 1})
    z = noise().normal((50, 2))
    assert torch.allclose(prior(built).log_prob(z), built(prior.pseudo_inputs).log_prob(z.unsqueeze(1))[:, 0])


@pytest.mark.spec("RD35")
def test_pseudo_inputs_start_near_data_or_noise_and_stay_in_the_unit_interval() -> None:
    data = dataset()
    from_data = marginal({"name": "vamp", "pseudo_inputs": 30}, data=data)
    away = from_data.inputs.detach() - torch.as_tensor(data.train.x)
    assert 0.008 < float(away.std()) < 0.012
    assert float(from_data.pseudo_inputs.detach().min()) == 0.0
    assert float(from_data.pseudo_inputs.detach().max()) == 1.0
    from_noise = marginal({"name": "vamp", "pseudo_inputs": 500, "init": "noise"}, data=data)
    assert float(from_noise.inputs.detach().mean()) == pytest.approx(0.05, abs=5e-4)
    assert float(from_noise.inputs.detach().std()) == pytest.approx(0.01, rel=0.05)
    real = marginal({"name": "vamp", "pseudo_inputs": 30}, data=dataset(support=Support.REAL))
    assert float(real.pseudo_inputs.detach().max()) > 1.0


def plus_v(context: int = 0) -> tuple[nn.Module, Tensor]:
    node = {
        "name": "vae",
        "latent_dim": 5,
        "encoder": {
            "name": "flow",
            "network": SMALL,
            "flow": {"name": "iaf-mean", "hidden": [16]},
            "steps": 3,
            "context": context,
        },
        "decoder": {"name": "bernoulli", "network": SMALL},
        "marginal": {"name": "vamp", "pseudo_inputs": 7},
    }
    torch.manual_seed(0)
    built = MODELS.build(MODELS.resolve(node, "model"), dataset()).double()
    return roughened(built), torch.as_tensor(dataset().train.x[:4]).double()


@pytest.mark.spec("RD36")
@pytest.mark.parametrize("context", [0, 3])
def test_a_vamp_prior_on_a_flow_equals_explicit_inversion(context: int) -> None:
    """log sum_i w_i e(z|phi_i) with every component's own inverse, against what the pass reports."""
    built, x = plus_v(context)
    seen = built(Batch(x), noise(), 3)
    z = seen.layers[0].z.clone()
    parts = built.encode(built.marginal.pseudo_inputs)
    each = torch.stack(
        [
            Flowed(
                DiagonalGaussian(parts.base.loc[i], scale=parts.base.scale[i]),
                parts.flow,
                None if parts.context is None else parts.context[i],
            ).log_prob(z)
            for i in range(7)
        ],
        -1,
    )
    explicit = torch.logsumexp(built.marginal.logits.log_softmax(-1) + each, -1)
    assert torch.allclose(seen.layers[0].log_marginal, explicit, atol=1e-4)


@pytest.mark.spec("RD36")
def test_a_shared_flow_is_not_inverted_in_a_training_pass() -> None:
    built, x = plus_v()
    calls: list[int] = []
    inverse = built.encoder.flow.inverse
    built.encoder.flow.inverse = lambda *a: calls.append(1) or inverse(*a)
    seen = built(Batch(x), noise(), 3)
    seen.mean(seen.rate + seen.distortion).backward()
    assert not calls
    held = built(Batch(x), noise(), 3, path=False)
    assert torch.allclose(held.rates, built(Batch(x), noise(), 3).rates)
    assert calls


@pytest.mark.spec("RD36")
def test_gradients_of_the_shared_evaluation_equal_those_of_inversion() -> None:
    built, x = plus_v()
    seen = built(Batch(x), noise(), 3)
    shared = torch.autograd.grad(seen.rate.sum(), list(built.encoder.parameters()), allow_unused=True)
    law = built.encode(x)
    z = law.draw(noise(), 3).value.clone()  # a clone is unknown to the law, so both densities invert the flow
    inverted = torch.autograd.grad((law.log_prob(z) - built.prior().log_prob(z)).sum(), list(built.encoder.parameters()))
    for a, b in zip(shared, inverted, strict=True):
        assert torch.allclose(torch.zeros_like(b) if a is None else a, b, atol=1e-7)


def test_pseudo_inputs_are_encoded_once_per_pass() -> None:
    built, x = plus_v()
    sizes: list[int] = []
    built.encoder.network.register_forward_hook(lambda module, given, out: sizes.append(given[0].shape[0]))
    _ = built(Batch(x), noise(), 5).rates
    assert sorted(sizes) == [4, 7]


@pytest.mark.spec("IM08")
@pytest.mark.parametrize("scale", ["unit-variance", 1.0])
def test_the_logistic_marginal_has_its_variance_entropy_and_density(scale: object) -> None:
    law = marginal({"name": "logistic", "scale": scale})(None)
    s = UNIT_VARIANCE if scale == "unit-variance" else 1.0
    entropy = math.log(s) + 2
    assert isinstance(law, Logistic)
    assert float(law.entropy) == pytest.approx(entropy, abs=1e-6)
    z = law.draw(noise(), 100_000).value
    twin = stats.logistic(0, s)
    assert np.allclose(law.unit_log_prob(z).numpy(), twin.logpdf(z.numpy()), atol=1e-6)
    assert stats.kstest(z[:, 0].numpy(), twin.cdf).pvalue > 1e-4
    variance = s**2 * math.pi**2 / 3
    assert z.mean().abs() < 4 * (variance / 200_000) ** 0.5
    assert abs(float(z.var()) - variance) < 4 * variance * (3.2 / 200_000) ** 0.5  # the excess kurtosis is 1.2
    surprise = -law.log_prob(z)
    assert abs(float(surprise.mean()) - 2 * entropy) < 4 * float(surprise.std()) / 100_000**0.5
    assert variance == pytest.approx(1.0 if scale == "unit-variance" else 3.28987, abs=1e-5)
    assert entropy == pytest.approx(1.404576 if scale == "unit-variance" else 2.0, abs=1e-6)


@pytest.mark.spec("IM09")
def test_the_normal_marginal_has_the_entropy_of_the_normal() -> None:
    law = marginal({"name": "normal"})(None)
    surprise = -law.log_prob(law.draw(noise(), 100_000).value)
    assert abs(float(surprise.mean()) - 2 * 1.418939) < 4 * float(surprise.std()) / 100_000**0.5
    assert 0.5 * math.log(2 * math.pi * math.e) > math.log(UNIT_VARIANCE) + 2, "at equal variance the logistic has less"


@pytest.mark.spec("VF47")
def test_the_learned_diagonal_marginal_has_a_closed_rate() -> None:
    built = roughened(marginal({"name": "diagonal"}), by=0.8)
    encoded = encoder()(torch.as_tensor(dataset().train.x[:5]).double())
    twin = distributions.Normal(built.loc, built.log_scale.exp())
    closed = encoded.kl(built(None))
    assert torch.allclose(closed, distributions.kl_divergence(distributions.Normal(encoded.loc, encoded.scale), twin))
    assert {name for name, _ in built.named_parameters()} == {"loc", "log_scale"}
    fresh = marginal({"name": "diagonal"})(None)
    z = noise().normal((9, 2))
    assert torch.allclose(fresh.log_prob(z), StandardNormal((2,), z).log_prob(z)), "starts at N(0, I)"


@pytest.mark.spec("VF47")
def test_the_conditional_marginal_has_a_closed_rate() -> None:
    torch.manual_seed(0)
    conditional = CONDITIONALS.build(CONDITIONALS.resolve({"name": "gaussian", "hidden": [8]}, "c"), (2,), 3).double()
    above = noise().normal((4, 5, 3))
    law = conditional((above,))
    assert (law.loc.std((0, 1)) > 1e-3).all(), "it moves with the layers above"
    encoded = encoder()(torch.as_tensor(dataset().train.x[:5]).double())
    twin = distributions.kl_divergence(
        distributions.Normal(encoded.loc, encoded.scale), distributions.Normal(law.loc, law.scale)
    )
    assert torch.allclose(encoded.kl(law), twin)


def gaussians(n: int = 20, d: int = 6, spread: float = 1.0) -> tuple[Tensor, DiagonalGaussian]:
    return noise(1).normal((n,)), DiagonalGaussian(3 + noise(2).normal((n, d)), scale=spread * noise(4).uniform((n, d)))


def test_the_matrix_form_of_a_mixture_equals_torch_and_the_plain_form() -> None:
    logits, parts = gaussians()
    z = 3 + noise().normal((4, 5, 6))
    fast, plain = GaussianMixture(logits, parts), Mixture(logits, parts)
    twin = distributions.MixtureSameFamily(
        distributions.Categorical(logits=logits), distributions.Independent(distributions.Normal(parts.loc, parts.scale), 1)
    )
    assert torch.allclose(fast.log_prob(z), twin.log_prob(z))
    assert torch.allclose(fast.log_prob(z), plain.log_prob(z))
    assert torch.allclose(fast.mean, twin.mean)
    assert torch.allclose(plain.mean, twin.mean)
    inputs = [logits.clone().requires_grad_(), parts.loc.clone().requires_grad_(), z.clone().requires_grad_()]
    gradients = [
        torch.autograd.grad(kind(inputs[0], DiagonalGaussian(inputs[1], scale=parts.scale)).log_prob(inputs[2]).sum(), inputs)
        for kind in (GaussianMixture, Mixture)
    ]
    assert all(torch.allclose(a, b) for a, b in zip(*gradients, strict=True))


def test_the_matrix_form_stays_near_the_truth_for_narrow_components_in_single_precision() -> None:
    """64 latents, components a tenth or a hundredth as wide as they lie apart: near float64."""
    logits, parts = gaussians(50, 64)
    for width, near in ((0.1, 0.01), (0.01, 0.5)):
        parts = DiagonalGaussian(parts.loc, scale=torch.full_like(parts.loc, width))
        z = parts.loc + width * noise(8).normal(parts.loc.shape)
        truth = Mixture(logits, parts).log_prob(z)
        floats = DiagonalGaussian(parts.loc.float(), scale=parts.scale.float())
        single = GaussianMixture(logits.float(), floats).log_prob(z.float())
        assert (single.double() - truth).abs().max() < near

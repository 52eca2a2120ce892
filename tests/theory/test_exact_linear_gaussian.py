"""The linear-Gaussian VAE: the worked reverse water-filling curve, and exact D, R and likelihood of any parameters."""

import math

import pytest
import torch
from torch import Tensor

from ratelab.core.errors import UserError
from ratelab.exact import gaussians
from ratelab.exact.linear_gaussian import LinearGaussianVAE, optimal_rate_distortion, optimal_vae, ppca_sigma2

EIGENVALUES = torch.tensor([0.4, 3.0, 1.5], dtype=torch.float64)
SIGMA2 = 0.3
WORKED = {
    0.25: (4.179294, 1.325856),
    0.5: (3.139573, 1.700856),
    1.0: (2.099853, 2.450856),
    2.0: (1.262864, 3.617523),
    6.0: (0.255413, 7.117523),
    12.0: (0.0, 9.117523),
}


def rotated(eigenvalues: Tensor, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    basis, _ = torch.linalg.qr(torch.randn(len(eigenvalues), len(eigenvalues), dtype=torch.float64, generator=generator))
    return basis @ torch.diag(eigenvalues) @ basis.mT


def random_vae(seed: int, n: int = 3, k: int = 2, full: bool = True) -> LinearGaussianVAE:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    spread, noise = normal(n, n + 2), normal(k, k + 2)
    variance = noise @ noise.mT / 4 if full else normal(k).exp()
    parameters = normal(k, n) / 2, normal(k), variance, normal(n, k), normal(n)
    return LinearGaussianVAE(normal(n), spread @ spread.mT / n, *parameters, sigma2=torch.tensor(0.7))


@pytest.mark.spec("RD23")
@pytest.mark.parametrize("beta", WORKED)
def test_worked_curve(beta: float) -> None:
    rate, distortion = optimal_rate_distortion(EIGENVALUES, SIGMA2, 3, beta)
    assert (rate.item(), distortion.item()) == pytest.approx(WORKED[beta], abs=1e-6)


@pytest.mark.spec("RD23")
def test_worked_point_with_fewer_latents() -> None:
    rate, distortion = optimal_rate_distortion(EIGENVALUES, SIGMA2, 2, 1.0)
    assert (rate.item(), distortion.item()) == pytest.approx((1.956012, 2.617523), abs=1e-6)
    none = optimal_rate_distortion(EIGENVALUES, SIGMA2, 0, 1.0)
    assert (none.rate.item(), none.distortion.item()) == pytest.approx(WORKED[12.0], abs=1e-6)


@pytest.mark.spec("RD18")
def test_curve_is_monotone_convex_with_slope_minus_beta() -> None:
    betas = torch.logspace(-1.3, 0.99, 400, dtype=torch.float64)
    # The second latent switches off at beta = 5, inside the sweep.
    rate, distortion = optimal_rate_distortion(EIGENVALUES, SIGMA2, 2, betas)
    fallen, risen = -rate.diff(), distortion.diff()
    assert bool((fallen > 0).all())
    assert bool((risen > 0).all())
    # On a convex curve every chord's slope lies between the slopes at its ends.
    assert bool((betas[:-1] <= risen / fallen).all())
    assert bool((risen / fallen <= betas[1:]).all())


@pytest.mark.spec("RD18")
@pytest.mark.parametrize("beta", [0.25, 0.5, 1.0, 2.0, 6.0])
def test_slope_by_differentiation(beta: float) -> None:
    slope = torch.tensor(beta, dtype=torch.float64, requires_grad=True)
    rate, distortion = optimal_rate_distortion(EIGENVALUES, SIGMA2, 3, slope)
    (d_rate,) = torch.autograd.grad(rate, slope, retain_graph=True)
    (d_distortion,) = torch.autograd.grad(distortion, slope)
    assert (d_distortion / d_rate).item() == pytest.approx(-beta, rel=1e-12)


@pytest.mark.spec("RD01")
def test_entropy_and_the_tight_point() -> None:
    model = optimal_vae(torch.zeros(3), rotated(EIGENVALUES), SIGMA2, 3, 1.0)
    assert model.entropy.item() == pytest.approx(4.550709, abs=1e-6)
    assert (model.rate + model.distortion - model.entropy).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("beta", WORKED)
def test_optimal_parameters_attain_the_curve(beta: float, k: int) -> None:
    mean = torch.tensor([1.0, -2.0, 0.5])
    model = optimal_vae(mean, rotated(EIGENVALUES), SIGMA2, k, beta)
    rate, distortion = optimal_rate_distortion(EIGENVALUES, SIGMA2, k, beta)
    assert (model.rate.item(), model.distortion.item()) == pytest.approx((rate.item(), distortion.item()), abs=1e-10)
    center, spread = model.aggregated_posterior
    assert center.abs().max().item() < 1e-12
    torch.testing.assert_close(spread, torch.eye(k, dtype=torch.float64))
    assert model.encoder_information.item() == pytest.approx(rate.item(), abs=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_no_model_beats_the_curve(seed: int) -> None:
    model = random_vae(seed)
    spectrum = torch.linalg.eigvalsh(model.covariance)
    for beta in WORKED:
        best = optimal_rate_distortion(spectrum, model.sigma2, 2, beta)
        assert (model.distortion + beta * model.rate).item() >= (best.distortion + beta * best.rate).item()


@pytest.mark.spec("RD02", "RD03")
@pytest.mark.parametrize("full", [True, False])
def test_rate_and_distortion_are_the_expectations_of_their_definitions(full: bool) -> None:
    model = random_vae(3, full=full)
    generator = torch.Generator().manual_seed(1)
    n = 200_000
    noise = torch.randn(n, 5, dtype=torch.float64, generator=generator)
    x = model.mean + noise[:, :3] @ torch.linalg.cholesky(model.covariance).mT
    z = model.encode(x) + noise[:, 3:] @ torch.linalg.cholesky(model.encoder_covariance).mT
    standard = torch.eye(2, dtype=torch.float64)
    log_encoder = gaussians.log_density(z, model.encode(x), model.encoder_covariance)
    rates = log_encoder - gaussians.log_density(z, torch.zeros(2, dtype=torch.float64), standard)
    decoded = z @ model.decoder_weight.mT + model.decoder_bias
    distortions = -gaussians.log_density(x, decoded, model.sigma2 * torch.eye(3, dtype=torch.float64))
    for sampled, exact in ((rates, model.rate), (distortions, model.distortion)):
        assert abs(sampled.mean() - exact) < 4 * sampled.std() / math.sqrt(n)
    for per_example, exact in ((model.rates(x), model.rate), (model.distortions(x), model.distortion)):
        assert abs(per_example.mean() - exact) < 4 * per_example.std() / math.sqrt(n)


@pytest.mark.parametrize("seed", range(3))
def test_evidence_is_elbo_plus_posterior_divergence(seed: int) -> None:
    model = random_vae(seed)
    x = torch.randn(20, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    mean, covariance = model.model_posterior(x)
    gap = gaussians.kl_full(model.encode(x), model.encoder_covariance, mean, covariance)
    torch.testing.assert_close(model.log_evidence(x), gap - model.rates(x) - model.distortions(x))


@pytest.mark.spec("RD09")
@pytest.mark.parametrize("seed", range(3))
def test_rate_exceeds_information_by_the_marginal_gap(seed: int) -> None:
    model = random_vae(seed)
    assert (model.rate - model.encoder_information).item() == pytest.approx(model.marginal_gap.item(), abs=1e-10)
    assert (model.entropy - model.distortion).item() <= model.encoder_information.item() <= model.rate.item()


def test_beta_one_is_probabilistic_pca() -> None:
    covariance = rotated(EIGENVALUES)
    model = optimal_vae(torch.zeros(3), covariance, SIGMA2, 2, 1.0)
    inverse = torch.linalg.inv(model.model_covariance)
    log_volume = gaussians.log_determinant(model.model_covariance)
    cross_entropy = 0.5 * (3 * math.log(2 * math.pi) + log_volume + torch.trace(inverse @ covariance))
    assert (model.rate + model.distortion).item() == pytest.approx(cross_entropy.item(), abs=1e-10)
    assert ppca_sigma2(EIGENVALUES, 1).item() == pytest.approx(0.95)
    for offset, sign in ((-0.01, -1), (0.01, 1)):
        sigma2 = (ppca_sigma2(EIGENVALUES, 1) + offset).requires_grad_()
        rate, distortion = optimal_rate_distortion(EIGENVALUES, sigma2, 1, 1.0)
        (slope,) = torch.autograd.grad(rate + distortion, sigma2)
        assert math.copysign(1, slope.item()) == sign


def test_many_models_at_once() -> None:
    singles = [random_vae(seed) for seed in range(4)]
    stacked = LinearGaussianVAE(
        *(torch.stack([getattr(m, f) for m in singles]) for f in LinearGaussianVAE.__dataclass_fields__)
    )
    for quantity in ("rate", "distortion", "encoder_information", "marginal_gap", "entropy"):
        expected = torch.stack([getattr(m, quantity) for m in singles])
        torch.testing.assert_close(getattr(stacked, quantity), expected)


def test_mistakes_are_named() -> None:
    with pytest.raises(UserError, match="beta: must be greater than 0"):
        optimal_rate_distortion(EIGENVALUES, SIGMA2, 3, 0.0)
    with pytest.raises(UserError, match="sigma2: must be greater than 0"):
        optimal_rate_distortion(EIGENVALUES, -1.0, 3, 1.0)
    with pytest.raises(UserError, match="eigenvalues: expected"):
        optimal_rate_distortion(-EIGENVALUES, SIGMA2, 3, 1.0)
    with pytest.raises(UserError, match="k: the number of latents"):
        optimal_rate_distortion(EIGENVALUES, SIGMA2, -1, 1.0)
    with pytest.raises(UserError, match="k: with 3 latents"):
        ppca_sigma2(EIGENVALUES, 3)
    good = random_vae(0)
    with pytest.raises(UserError, match="decoder_weight: expected shape"):
        LinearGaussianVAE(
            good.mean, good.covariance, good.encoder_weight, good.encoder_bias, good.encoder_covariance,
            good.encoder_weight, good.decoder_bias, good.sigma2,
        )  # fmt: skip

"""Minimising the analytic D + beta R from a random start ends at the closed-form rate-distortion points."""

import pytest
import torch

from ratelab.exact.linear_gaussian import LinearGaussianVAE, optimal_rate_distortion

EIGENVALUES = torch.tensor([3.0, 1.5, 0.4], dtype=torch.float64)
SIGMA2 = 0.3
BETAS = torch.tensor([0.25, 0.5, 1.0, 2.0, 6.0, 12.0], dtype=torch.float64)


def trained(k: int, seed: int) -> LinearGaussianVAE:
    """One model per beta, trained together: the losses add up and share no parameter."""
    generator = torch.Generator().manual_seed(seed)
    sizes = {"encoder": (k, 3), "log_variance": (k,), "decoder": (3, k), "encoder_bias": (k,), "decoder_bias": (3,)}
    parameters = {
        name: (0.3 * torch.randn(len(BETAS), *size, dtype=torch.float64, generator=generator)).requires_grad_()
        for name, size in sizes.items()
    }

    def build() -> LinearGaussianVAE:
        return LinearGaussianVAE(
            mean=torch.tensor([0.5, -1.0, 2.0]), covariance=torch.diag(EIGENVALUES),
            encoder_weight=parameters["encoder"], encoder_bias=parameters["encoder_bias"],
            encoder_covariance=parameters["log_variance"].exp(), decoder_weight=parameters["decoder"],
            decoder_bias=parameters["decoder_bias"], sigma2=torch.tensor(SIGMA2, dtype=torch.float64),
        )  # fmt: skip

    optimiser = torch.optim.LBFGS(
        parameters.values(), max_iter=1000, history_size=50, tolerance_grad=1e-9, tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        model = build()
        loss = (model.distortion + BETAS * model.rate).sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    with torch.no_grad():
        return build()


@pytest.mark.parametrize("k", [2, 3])
def test_training_reaches_the_closed_form_points(k: int) -> None:
    model = trained(k, seed=0)
    rate, distortion = optimal_rate_distortion(EIGENVALUES, SIGMA2, k, BETAS)
    torch.testing.assert_close(model.rate, rate, atol=1e-3, rtol=0)
    torch.testing.assert_close(model.distortion, distortion, atol=1e-3, rtol=0)
    torch.testing.assert_close(model.distortion + BETAS * model.rate, distortion + BETAS * rate, atol=1e-3, rtol=0)

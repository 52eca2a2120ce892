"""Expectation-maximisation in closed form: mixtures of Gaussians and probabilistic PCA (Dempster et al. 1977; K19, App. A, eq. A.6-A.10).

The E-step sets every row's posterior to q(z) = p(z|x), so that its ELBO is log p(x); the M-step maximises the sum of the ELBOs over the
parameters. Neither can lower the log-likelihood. EM for PCA: Tipping and Bishop 1999, App. B.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ratelab.core.errors import UserError
from ratelab.exact import gaussians
from ratelab.exact.discrete import weighted_log


class Moments(NamedTuple):
    """One Gaussian posterior per row: means (N, k) and the covariance (k, k) that all rows share."""

    mean: Tensor
    covariance: Tensor


@dataclass(frozen=True, eq=False)
class Mixture:
    """sum_c w_c N(x; m_c, diag v_c). ``weights``: (C,); ``means``, ``variances``: (C, n). Nats.

    >>> one = Mixture(torch.ones(1), torch.zeros(1, 1), torch.ones(1, 1))
    >>> round(one.log_evidence(torch.zeros(1, 1)).item(), 6)
    -0.918939
    """

    weights: Tensor
    means: Tensor
    variances: Tensor

    def __post_init__(self) -> None:
        if self.means.shape != self.variances.shape or self.means.shape[:1] != self.weights.shape:
            shapes = [tuple(t.shape) for t in (self.weights, self.means, self.variances)]
            raise UserError(f"weights, means, variances: expected (C,), (C, n), (C, n), got {shapes}")

    def log_joint(self, x: Tensor) -> Tensor:
        """(N, n) -> (N, C) log p(x, c)."""
        covariances = torch.diag_embed(self.variances)
        return self.weights.log() + gaussians.log_density(x.unsqueeze(1), self.means, covariances)

    def log_evidence(self, x: Tensor) -> Tensor:
        """(N, n) -> (N,) log p(x)."""
        return self.log_joint(x).logsumexp(-1)

    def expectation(self, x: Tensor) -> Tensor:
        """The E-step: (N, C) p(c|x)."""
        return self.log_joint(x).softmax(-1)

    def elbo(self, x: Tensor, q: Tensor) -> Tensor:
        """(N,) E_q[log p(x, c) - log q(c)] for responsibilities ``q`` (N, C)."""
        return (q * self.log_joint(x)).sum(-1) - weighted_log(q, q).sum(-1)

    def maximisation(self, x: Tensor, q: Tensor) -> "Mixture":
        """The M-step: the mixture with the largest sum of ELBOs for responsibilities ``q`` (N, C)."""
        mass = q.sum(0)
        means = q.mT @ x / mass.unsqueeze(-1)
        deviations = (x.unsqueeze(1) - means).square()
        return Mixture(mass / len(x), means, (q.unsqueeze(-1) * deviations).sum(0) / mass.unsqueeze(-1))


@dataclass(frozen=True, eq=False)
class ProbabilisticPca:
    """z ~ N(0, I_k), x|z ~ N(A z + c, s I). ``weight`` A: (n, k); ``bias`` c: (n,); ``sigma2`` s: a 0-d tensor. Nats."""

    weight: Tensor
    bias: Tensor
    sigma2: Tensor

    @property
    def precision(self) -> Tensor:
        """(k, k) of every posterior: I + A' A / s."""
        return torch.eye(self.weight.shape[1], dtype=self.weight.dtype) + self.weight.mT @ self.weight / self.sigma2

    def log_evidence(self, x: Tensor) -> Tensor:
        """(N, n) -> (N,) log p(x)."""
        noise = self.sigma2 * torch.eye(len(self.bias), dtype=self.weight.dtype)
        return gaussians.log_density(x, self.bias, self.weight @ self.weight.mT + noise)

    def expectation(self, x: Tensor) -> Moments:
        """The E-step: p(z|x) of every row."""
        covariance = torch.linalg.inv(self.precision)
        return Moments((x - self.bias) @ self.weight @ covariance / self.sigma2, covariance)

    def elbo(self, x: Tensor, q: Moments) -> Tensor:
        """(N,) E_q[log p(x, z) - log q(z)]."""
        n, k = self.weight.shape
        standard = torch.zeros(k, dtype=x.dtype), torch.eye(k, dtype=x.dtype)
        error = (x - q.mean @ self.weight.mT - self.bias).square().sum(-1)
        spread = (self.weight @ q.covariance @ self.weight.mT).trace()
        fit = -0.5 * (n * torch.log(2 * torch.pi * self.sigma2) + (error + spread) / self.sigma2)
        return fit - gaussians.kl_full(q.mean, q.covariance, *standard)

    def maximisation(self, x: Tensor, q: Moments) -> "ProbabilisticPca":
        """The M-step: the parameters with the largest sum of ELBOs, a linear regression of x on z."""
        ones = torch.ones(len(x), 1, dtype=x.dtype)
        inputs = torch.cat([q.mean, ones], 1)
        moment = inputs.mT @ inputs
        k = q.mean.shape[1]
        moment[:k, :k] += len(x) * q.covariance
        solution = torch.linalg.solve(moment, inputs.mT @ x)
        weight, bias = solution[:k].mT, solution[k]
        error = (x - q.mean @ weight.mT - bias).square().sum(-1).mean()
        spread = (weight @ q.covariance @ weight.mT).trace()
        return ProbabilisticPca(weight, bias, (error + spread) / x.shape[1])

"""Density ratios from classifiers, and the bounds on a divergence that any function gives (Rosca et al. 2018, section 4.1, eq. 6).

A classifier tells draws of p (label 1) from draws of q (label 0). Its best D = pi_1 p / (pi_1 p + pi_0 q) gives the ratio
p / q = D / (1 - D) * pi_0 / pi_1, so its logit is log p - log q plus the log-odds of the labels, and KL(p || q) = E_p[logit] at equal odds.
Short of its best it may lie anywhere. Two forms bound KL(p || q) from below for *every* function T that does not depend on the draws:

    E_p[T] - log E_q[e^T]        (Donsker and Varadhan 1983)
    E_p[T] + 1 - E_q[e^T]        (Nguyen, Wainwright and Jordan 2010, with T shifted so that its best is log p - log q)

The second form is usually printed as E_p[T] - E_q[e^(T-1)], whose best T is larger by one: given a classifier's logit it would lose 1/e.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


def discrimination(on_p: Tensor, on_q: Tensor) -> Tensor:
    """-log D on draws of p minus log(1 - D) on draws of q, pair by pair, from logits of equal shape; at best 2 log 2 - 2 JSD(p, q).

    >>> round(float(discrimination(torch.zeros(1), torch.zeros(1))), 6)   # 2 log 2: nothing is told apart
    1.386294
    """
    return F.softplus(-on_p) + F.softplus(on_q)


def log_ratio(logit: Tensor, odds: float | Tensor = 1.0) -> Tensor:
    """log p - log q of a classifier's best logit where the labels came with odds pi_1 / pi_0."""
    return logit - torch.as_tensor(odds, dtype=logit.dtype, device=logit.device).log()


def density_ratio(probability: Tensor, odds: float | Tensor = 1.0) -> Tensor:
    """p / q = D / (1 - D) * pi_0 / pi_1.

    >>> float(density_ratio(torch.tensor(0.75)))
    3.0
    """
    return probability / (1 - probability) / torch.as_tensor(odds, dtype=probability.dtype, device=probability.device)


class Bounded(NamedTuple):
    """A value in nats with its standard error; (nan where a single draw gives none)."""

    value: float
    error: float


def mean_logit(on_p: Tensor) -> Bounded:
    """E_p[T], the density-ratio estimate of KL(p || q): no bound on either side. ``on_p``: (S,) logits of equal odds."""
    logits = on_p.double()
    return Bounded(float(logits.mean()), _error(logits))


def donsker_varadhan(on_p: Tensor, on_q: Tensor) -> Bounded:
    """E_p[T] - log E_q[e^T] <= KL(p || q) from T on (S,) draws of p and (R,) of q, none of which T was trained on.

    The logarithm of the mean over R draws errs upwards, by about (relative variance of e^T) / (2 R).
    """
    first, second = on_p.double(), on_q.double()
    log_mean = float(second.logsumexp(0)) - math.log(len(second))
    relative = (second - log_mean).exp()
    return Bounded(float(first.mean()) - log_mean, math.hypot(_error(first), _error(relative)))


def nwj(on_p: Tensor, on_q: Tensor) -> Bounded:
    """E_p[T] + 1 - E_q[e^T] <= KL(p || q), without bias; arguments as of :func:`donsker_varadhan`, and never above it."""
    first, second = on_p.double(), on_q.double().exp()
    return Bounded(float(first.mean()) + 1 - float(second.mean()), math.hypot(_error(first), _error(second)))


def effective_draws(on_q: Tensor) -> float:
    """How many equal weights the weights e^T of draws of q are worth: (sum w)^2 / sum w^2. A mean of few is not to be trusted.

    >>> effective_draws(torch.tensor([0.0, 0.0, -1e9]))
    2.0
    """
    weights = on_q.double()
    return float((2 * weights.logsumexp(0) - (2 * weights).logsumexp(0)).exp())


def _error(values: Tensor) -> float:
    return float(values.std()) / math.sqrt(len(values)) if len(values) > 1 else math.nan

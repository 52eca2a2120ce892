"""The aggregated posterior's densities from a minibatch, and its total correlation (Chen et al. 2018, section 4.1 and App. C).

q(z) = (1/N) sum_n e(z|x_n) is a mixture over the whole data set. Minibatch-weighted sampling estimates log q(z) and log q(z_j) from
the B examples at hand; stratified sampling weighs them so that the mean under the logarithm is unbiased.
"""

import math
from typing import Literal

import torch
from torch import Tensor

Sampling = Literal["weighted", "stratified"]


def log_aggregated(unit_log_probs: Tensor, examples: int, sampling: Sampling = "stratified") -> tuple[Tensor, Tensor]:
    """(log q(z), log q(z_j)) for draws z_i ~ e(z|x_i), in nats: shapes (..., B) and (..., B, d).

    ``unit_log_probs``: (..., B, B, d), entry [i, n] is log e(z_i,j | x_n). ``examples``: N, the size of the data set.
    """
    batch = unit_log_probs.shape[-2]
    weights = log_weights(batch, examples, sampling).to(unit_log_probs)
    joint = torch.logsumexp(unit_log_probs.sum(-1) + weights, -1)
    each = torch.logsumexp(unit_log_probs + weights.unsqueeze(-1), -2)
    return joint, each


def log_weights(batch: int, examples: int, sampling: Sampling) -> Tensor:
    """(B, B) log-weights of the examples [n] in the estimate for the draw [i], whose own example is known to be in the mixture."""
    if sampling == "weighted" or batch >= examples:
        return torch.full((batch, batch), -math.log(batch * examples if batch < examples else batch))
    weights = torch.full((batch, batch), (examples - 1) / (examples * max(batch - 1, 1)))
    return weights.fill_diagonal_(1 / examples).log()


def total_correlation(unit_log_probs: Tensor, examples: int, sampling: Sampling = "stratified") -> Tensor:
    """(..., B) log q(z) - sum_j log q(z_j), nats; its mean estimates KL(q(z) || prod_j q(z_j)). Arguments as above."""
    joint, each = log_aggregated(unit_log_probs, examples, sampling)
    return joint - each.sum(-1)

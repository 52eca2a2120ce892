"""The Wasserstein critic with a gradient penalty (Gulrajani et al. 2017; Rosca et al. 2018, section 4.1).

A critic f of slope at most 1 gives E_p[f] - E_q[f] <= W_1(p, q). The slope is not bounded but drawn towards 1 between draws of the
two laws, so the difference is an estimate without a side. The penalty is of single examples: a critic must not normalise over batches.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ratelab.core.batch import Noise


def critic_loss(on_real: Tensor, on_fake: Tensor) -> Tensor:
    """f on draws of the model minus f on examples, pair by pair: minimised, it parts them."""
    return on_fake - on_real


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, noise: Noise) -> Tensor:
    """(||f'(x^)||_2 - 1)^2 for each pair, (B,), at x^ = e x + (1 - e) x~ with e ~ U(0, 1) of its own; without a weight.

    ``real``, ``fake``: (B, \\*event); ``critic``: (B, \\*event) -> (B,), each from its own example. Differentiable in the critic.
    """
    share = noise.uniform((len(real), *(1 for _ in real.shape[1:])))
    with torch.enable_grad():
        between = (share * real + (1 - share) * fake).detach().requires_grad_()
        (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        return (slope.flatten(1).norm(dim=1) - 1).square()

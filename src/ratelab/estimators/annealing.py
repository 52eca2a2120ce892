"""Annealed importance sampling, forwards and backwards (Neal 2001; Grosse et al. 2015; Wu et al. 2017).

Chains start at draws of f_0 and are moved by Hamiltonian Monte Carlo through f_b to f_1. The mean of their weights is an unbiased
estimate of Z = int f_1 / int f_0, so its logarithm a lower bound on log Z in expectation. Chains that start at an exact draw of f_1
and are moved back give weights whose inverse is an unbiased estimate of 1 / Z: an upper bound.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ratelab.core.batch import Noise
from ratelab.core.sequence import one_by_one
from ratelab.estimators.hmc import Path, State, transition

ACCEPTANCE = 0.8  # what step sizes aim at
TRIED, TRIED_CHAINS = 16, 4  # examples and chains of the trial that finds them


def sigmoid_schedule(temperatures: int, last: float = 1.0, sharpness: float = 4.0) -> list[float]:
    """0 = b_0 < ... < b_T = ``last``, close together at both ends (Wu et al. 2017, section 3).

    >>> [round(b, 3) for b in sigmoid_schedule(4)]
    [0.0, 0.105, 0.5, 0.895, 1.0]
    """
    raw = [1 / (1 + math.exp(-sharpness * (2 * t / temperatures - 1))) for t in range(temperatures + 1)]
    return [last * (value - raw[0]) / (raw[-1] - raw[0]) for value in raw]


@dataclass(frozen=True)
class Annealing:
    """How a path is travelled: its temperatures b_0 ... b_T, and the leapfrog steps of each transition."""

    schedule: list[float]
    leapfrogs: int

    def steps(self, path: Path, noise: Noise) -> list[float]:
        """A step size for each temperature, found by a trial run on a few examples.

        The chains that are reported on use them as they are: steps that follow the chain's own past would bias its weights.
        """
        z = path.draw(noise, TRIED_CHAINS)
        index = torch.linspace(0, z.shape[1] - 1, min(TRIED, z.shape[1])).long().to(z.device)
        path, z = path.rows(index), z[:, index]
        state, step, found = State.at(path, z), z.shape[-1] ** -0.25, []
        for b in self.schedule[1:-1]:
            state, accepted = transition(path, state, b, step, self.leapfrogs, noise)
            step *= math.exp(0.5 * (float(accepted.mean()) - ACCEPTANCE))
            found.append(step)
        return found

    def forward(self, path: Path, steps: list[float], chains: int, noise: Noise) -> "Travelled":
        """Chains from draws of f_0 to f_1: log weights whose mean estimates Z without bias."""
        state = State.at(path, path.draw(noise, chains))
        log_weight = torch.zeros_like(state.start)
        accepted: list[Tensor] = []
        for i in one_by_one(len(self.schedule) - 1):
            b = self.schedule[i + 1]
            log_weight = log_weight + (b - self.schedule[i]) * state.log_ratio
            if i < len(steps):
                state, rate = transition(path, state, b, steps[i], self.leapfrogs, noise)
                accepted.append(rate)
        return Travelled(state, log_weight, mean_rate(accepted, log_weight))

    def backward(self, path: Path, steps: list[float], exact: Tensor, noise: Noise) -> "Travelled":
        """Chains from exact draws (K, B, n) of f_1 to f_0: log weights whose inverses estimate 1 / Z without bias."""
        state = State.at(path, exact)
        log_weight = torch.zeros_like(state.start)
        accepted: list[Tensor] = []
        for done in one_by_one(len(self.schedule) - 1):
            i = len(self.schedule) - 1 - done
            if i <= len(steps):
                state, rate = transition(path, state, self.schedule[i], steps[i - 1], self.leapfrogs, noise)
                accepted.append(rate)
            log_weight = log_weight + (self.schedule[i] - self.schedule[i - 1]) * state.log_ratio
        return Travelled(state, log_weight, mean_rate(accepted, log_weight))


@dataclass(frozen=True)
class Travelled:
    """Where chains ended, their log-weights (K, B) in nats, and each example's mean acceptance (B,)."""

    state: State
    log_weight: Tensor
    acceptance: Tensor

    @property
    def log_mean(self) -> Tensor:
        """(B,) log of the mean weight: below log Z in expectation when travelled forwards."""
        return torch.logsumexp(self.log_weight, 0) - math.log(len(self.log_weight))

    @property
    def log_harmonic_mean(self) -> Tensor:
        """(B,) minus the log of the mean inverse weight: above log Z in expectation when travelled backwards."""
        return math.log(len(self.log_weight)) - torch.logsumexp(-self.log_weight, 0)

    @property
    def normalised(self) -> Tensor:
        """(K, B) weights that sum to one over the chains."""
        return torch.softmax(self.log_weight, 0)

    @property
    def effective(self) -> Tensor:
        """(B,) effective number of chains, from 1 to K: 1 / sum of the squared normalised weights."""
        return 1 / self.normalised.square().sum(0)


def mean_rate(rates: list[Tensor], like: Tensor) -> Tensor:
    """(B,) mean over transitions and chains; NaN where there was none."""
    return torch.stack(rates).mean((0, 1)) if rates else torch.full_like(like[0], torch.nan)

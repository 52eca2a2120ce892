"""Gradients through draws: unbiased against enumeration of a two-bit latent, with the variances that theory gives.

Tolerances: four standard errors.
"""

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from ratelab.core.batch import Batch, LiveNoise, Noise
from ratelab.core.law import Draw, Law
from ratelab.core.model import Group, Model
from ratelab.core.objective import Objective, Setting
from ratelab.core.passes import Layer, Pass
from ratelab.distributions.gaussians import DiagonalGaussian
from ratelab.distributions.one_hot import OneHot
from ratelab.objectives import OBJECTIVES

LOGITS = torch.tensor([[0.3, -0.4], [-0.2, 0.9]], dtype=torch.float64)
PRIOR = torch.tensor([[0.0, 0.4], [0.1, -0.3]], dtype=torch.float64)
WEIGHTS = torch.tensor([0.5, -1.0, 1.5, 0.7], dtype=torch.float64)
X = 0.8
SETTING = Setting((1,), ((4,),), 10, 100)


class TwoBits(Model):
    """Two binary latents as one-hot pairs, each row with encoder logits of its own; x|z ~ N((w z)^2, 1), not linear in z."""

    event_shape, latent_shapes = (1,), ((4,),)

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(LOGITS.repeat(rows, 1, 1))
        self.w = nn.Parameter(WEIGHTS.repeat(rows, 1))

    def likelihood(self, z: Tensor) -> Law:
        return DiagonalGaussian((self.w * z).sum(-1, keepdim=True).square(), log_scale=torch.zeros(1, dtype=z.dtype))

    def forward(self, batch: Batch, noise: Noise, samples: int = 1, path: bool = True) -> Pass:
        law = OneHot(self.logits)
        z = law.draw(noise, samples).value
        return Pass(batch, batch.x, (Layer(z, law, OneHot(PRIOR)),), self.likelihood(z))

    def log_joint(self, x: Tensor, z: tuple[Tensor, ...]) -> Tensor:
        return self.likelihood(z[0]).log_prob(x) + OneHot(PRIOR).log_prob(z[0])

    def generate(self, n: int, noise: Noise) -> Pass:
        raise NotImplementedError

    def decode(self, z: tuple[Tensor, ...]) -> Tensor:
        return self.likelihood(z[0]).mean

    def group(self, which: Group) -> Iterator[nn.Parameter]:
        return iter((self.logits,) if which == "inference" else (self.w,))


def states(k: int) -> Tensor:
    """All 4^k ways to draw k latents: (4^k, k, 4)."""
    single = torch.tensor([[1.0, 0, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 0, 1]], dtype=torch.float64)
    index = torch.cartesian_prod(*[torch.arange(4)] * k).reshape(-1, k)
    return single[index]


def exact(k: int) -> tuple[Tensor, Tensor]:
    """The gradient of -L_K (K = 1: of -ELBO) by summing over all draws: for the logits (4,) and the weights (4,)."""
    model = TwoBits(1)
    z = states(k).permute(1, 0, 2).unsqueeze(2)  # (k, 4^k, 1, 4)
    law = OneHot(model.logits)
    log_e = law.log_prob(z)
    log_weight = model.log_joint(torch.tensor([[X]], dtype=torch.float64), (z,)) - log_e
    bound = torch.logsumexp(log_weight, 0) - math.log(k)
    loss = -(log_e.sum(0).exp() * bound).sum()
    logits, w = torch.autograd.grad(loss, (model.logits, model.w))
    return logits.flatten(), w.flatten()


def drawn(objective: Objective, rows: int, state: dict[str, Tensor] | None = None, seed: int = 0) -> tuple[Tensor, Tensor]:
    """``rows`` independent draws of the objective's gradient: (rows, 4) for the logits and for the weights."""
    model = TwoBits(rows)
    batch = Batch(torch.full((rows, 1), X, dtype=torch.float64))
    noise = LiveNoise(seed, dtype=torch.float64)
    turn = objective.turn(model, batch, noise, objective.initial_state() if state is None else state)
    logits, w = torch.autograd.grad(turn.loss.total, (model.logits, model.w))
    return rows * logits.flatten(1), rows * w


def objective(name: str, **options: object) -> Objective:
    torch.manual_seed(0)
    return OBJECTIVES.build(OBJECTIVES.resolve({"name": name, **options}, "objective"), SETTING).double()


def unbiased(found: tuple[Tensor, Tensor], truth: tuple[Tensor, Tensor]) -> bool:
    checks = [(f.mean(0) - t).abs() <= 4 * f.std(0) / len(f) ** 0.5 + 1e-12 for f, t in zip(found, truth, strict=True)]
    return bool(torch.cat(checks).all())


CASES = [
    ("score-function", {"baseline": "none"}, 1, None),
    ("score-function", {"baseline": "running"}, 1, {"baseline": torch.tensor(-3.0, dtype=torch.float64)}),
    ("score-function", {"baseline": "others", "samples": 3}, 1, None),
    ("nvil", {"normalise": False}, 1, {"mean": torch.tensor(-3.0), "variance": torch.tensor(9.0)}),
    ("vimco", {"samples": 2}, 2, None),
    ("vimco", {"samples": 4}, 4, None),
    ("muprop", {}, 1, None),
    ("muprop", {"samples": 3}, 1, None),
]


@pytest.mark.spec("VF23", "VF24", "VF25", "VF26", "N33")
@pytest.mark.parametrize(
    ("name", "options", "k", "state"), CASES, ids=lambda v: str(v) if isinstance(v, (str, dict, int)) else ""
)
def test_the_mean_gradient_is_the_enumerated_one(name: str, options: dict, k: int, state: dict | None) -> None:
    # Many draws: two bits that are rarely drawn alike four times make a heavy tail.
    assert unbiased(drawn(objective(name, **options), 100_000, state), exact(k))


@pytest.mark.spec("VF24")
def test_nvil_scales_by_the_running_deviation_and_by_nothing_else() -> None:
    state = {"mean": torch.tensor(-3.0, dtype=torch.float64), "variance": torch.tensor(9.0, dtype=torch.float64)}
    plain = drawn(objective("nvil", normalise=False), 50, state)
    scaled = drawn(objective("nvil"), 50, state)
    assert torch.allclose(scaled[0], plain[0] / 3)
    assert torch.allclose(scaled[1], plain[1])


@pytest.mark.spec("VF24")
def test_the_learned_baseline_is_trained_on_the_signal_and_lowers_the_variance() -> None:
    chosen = objective("nvil", normalise=False)
    model, batch = TwoBits(500), Batch(torch.full((500, 1), X, dtype=torch.float64))
    before = drawn(chosen, 4000)[0].var(0).sum()
    state, optimiser = chosen.initial_state(), torch.optim.Adam(chosen.parameters(), lr=0.02)
    for step in range(150):
        turn = chosen.turn(model, batch, LiveNoise(step, dtype=torch.float64), state)
        optimiser.zero_grad()
        turn.loss.total.backward()
        optimiser.step()
        state = {name: value.detach() for name, value in turn.loss.state.items()}
    after = drawn(chosen, 4000, state)[0].var(0).sum()
    assert after < 0.5 * before
    assert unbiased(drawn(chosen, 40_000, state, seed=1), exact(1))


@pytest.mark.spec("VF25", "VF26")
def test_control_variates_lower_the_variance() -> None:
    def noise(name: str, **options: object) -> float:
        return float(drawn(objective(name, **options), 8000)[0].var(0).sum())

    plain = noise("score-function", baseline="none")
    assert noise("muprop") < plain
    assert noise("score-function", baseline="others", samples=4) < plain / 4


@pytest.mark.spec("VF32")
def test_leaving_out_the_score_is_biased() -> None:
    """The naive E_e[grad l] is, for a discrete latent, not the gradient of E_e[l]."""
    model = TwoBits(20_000)
    batch = Batch(torch.full((20_000, 1), X, dtype=torch.float64))
    total = objective("elbo", form="joint").turn(model, batch, LiveNoise(0, dtype=torch.float64), {}).loss.total
    naive = 20_000 * torch.autograd.grad(total, model.logits)[0].flatten(1)
    truth = exact(1)[0]
    assert ((naive.mean(0) - truth).abs() > 10 * naive.std(0) / 20_000**0.5).all()


class Square(Law):
    """A law whose score is -z^2: makes E[z^2] the loss of a pass."""

    event_shape, batch_shape = (1,), ()

    def __init__(self, z: Tensor) -> None:
        self.z = z

    def draw(self, noise: Noise, samples: int | None = None) -> Draw:
        raise NotImplementedError

    def log_prob(self, value: Tensor) -> Tensor:
        return -self.z.squeeze(-1).square()

    @property
    def mean(self) -> Tensor:
        raise NotImplementedError

    def detached(self) -> "Square":
        return Square(self.z.detach())


def slopes(name: str, mu: float, n: int, **options: object) -> Tensor:
    """(n,) draws of the gradient of E_{N(mu, 1)}[z^2] with respect to mu."""
    loc = torch.full((n, 1), mu, dtype=torch.float64, requires_grad=True)
    chosen = objective(name, **options)
    law = DiagonalGaussian(loc, log_scale=torch.zeros_like(loc))
    z = law.draw(LiveNoise(3, dtype=torch.float64), chosen.samples).value
    # The marginal has the encoder's values, so there is no rate, and adds no gradient of its own.
    z, marginal = (z, law) if chosen.path else (z.detach(), law.detached())
    x = torch.zeros_like(loc).detach()
    seen = Pass(Batch(x), x, (Layer(z, law, marginal),), Square(z))
    return n * torch.autograd.grad(chosen.loss(seen, chosen.initial_state()).total, loc)[0].squeeze(-1)


@pytest.mark.spec("VF22", "VF23", "VF56")
def test_the_variances_of_the_two_estimators_are_the_stated_ones() -> None:
    """Of d/dmu E[z^2] = 2 mu: 4 by reparameterisation; mu^4 + 14 mu^2 + 15 by the score, i.e. 15, 30, 87. Within 4 s.e. of 3 %."""
    n = 200_000
    for mu, variance in ((0.0, 15.0), (1.0, 30.0), (2.0, 87.0)):
        score = slopes("score-function", mu, n, baseline="none")
        path = slopes("elbo", mu, n, form="sampled")
        for found, stated in ((score, variance), (path, 4.0)):
            assert abs(float(found.mean()) - 2 * mu) < 4 * (stated / n) ** 0.5
            assert float(found.var()) == pytest.approx(stated, rel=0.06)
        assert float(score.var() / path.var()) > 3


@pytest.mark.spec("VF61")
def test_the_reparameterised_gradient_is_the_numerical_one() -> None:
    """For fixed noise the loss is a smooth function of the encoder's parameters: central differences agree."""

    def total(mu: Tensor) -> Tensor:
        law = DiagonalGaussian(mu.reshape(1, 1), log_scale=torch.full((1, 1), -0.3, dtype=torch.float64))
        z = law.draw(LiveNoise(3, dtype=torch.float64), 5).value
        x = torch.zeros(1, 1, dtype=torch.float64)
        seen = Pass(Batch(x), x, (Layer(z, law, DiagonalGaussian(x, log_scale=x)),), Square(z))
        return objective("elbo").loss(seen, {}).total

    mu = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(total, (mu,))

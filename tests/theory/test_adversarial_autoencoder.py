"""The adversarial autoencoder on codes whose two laws are finite tables, and trained where the codes can be drawn as a histogram."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from ratelab.core.batch import Batch, LiveNoise, Noise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.law import Draw
from ratelab.core.objective import Loss, Setting
from ratelab.core.passes import Layer, Pass
from ratelab.distributions.gaussians import DiagonalGaussian
from ratelab.exact.discrete import kl
from ratelab.models import MODELS
from ratelab.objectives import OBJECTIVES
from ratelab.objectives.adversarial_autoencoder import AdversarialAutoencoder
from ratelab.training import OPTIMISERS, Plan, Trainer

STATES, SIZE = 4, 60


class Scores(nn.Module):
    """A discriminator that knows its logit of each state."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, z: Tensor) -> Tensor:
        return self.logits[z[..., 0].long()]


def spread(counts: Tensor) -> Tensor:
    """(SIZE, 1): each state as often as its count says, so that a mean over them is the table's expectation."""
    return torch.arange(STATES, dtype=torch.float64).repeat_interleave(counts).unsqueeze(-1)


class Tabled(nn.Module):
    """A model whose codes and whose marginal's draws are those of two tables."""

    def __init__(self, codes: Tensor, drawn: Tensor) -> None:
        super().__init__()
        self.codes, self.drawn = codes, drawn

    def forward(self, batch: Batch, noise: Noise, samples: int = 1) -> Pass:
        marginal = SimpleNamespace(event_shape=(1,), draw=lambda noise, n: Draw(spread(self.drawn)))
        return Pass(batch, batch.x, (Layer(spread(self.codes).unsqueeze(0), None, marginal),), None)


def tables(seed: int) -> tuple[Tensor, Tensor]:
    """Two tables of counts, none of them 0."""
    stream = np.random.default_rng(seed)
    return tuple(1 + torch.as_tensor(stream.multinomial(SIZE - STATES, stream.dirichlet(np.ones(STATES)))) for _ in range(2))


def judged(codes: Tensor, drawn: Tensor, logits: Tensor) -> Loss:
    objective = AdversarialAutoencoder(Setting((), ((1,),), 1, SIZE), layers=1, width=2)
    objective.discriminator = Scores(logits)
    batch = Batch(torch.zeros(SIZE, 1, dtype=torch.float64))
    return objective.tell_apart(Tabled(codes, drawn), batch, LiveNoise(0), {}).loss


@pytest.mark.spec("DM21")
@pytest.mark.parametrize("seed", range(10))
def test_the_best_discriminator_leaves_the_jensen_shannon_divergence(seed: int) -> None:
    """At logit log m - log q the loss is 2 log 2 - 2 JSD(q(z), m(z)), and any other logit costs more."""
    codes, drawn = tables(seed)
    q, m = codes.double() / SIZE, drawn.double() / SIZE
    jsd = 0.5 * float(kl(q, (q + m) / 2) + kl(m, (q + m) / 2))
    best = judged(codes, drawn, m.log() - q.log())
    assert float(best.total.detach()) == pytest.approx(2 * math.log(2) - 2 * jsd, abs=1e-12)
    assert float(best.terms["jsd"]) == pytest.approx(jsd, abs=1e-12)
    stream = torch.Generator().manual_seed(seed)
    for _ in range(20):
        other = judged(codes, drawn, m.log() - q.log() + torch.randn(STATES, generator=stream, dtype=torch.float64))
        assert float(other.total.detach()) > float(best.total.detach())
        assert float(other.terms["jsd"]) < jsd


def seen(width: float, scored: float) -> Pass:
    """One pass with the codes 0 to 3: the encoder's spread changes the rate and nothing else."""
    z = torch.arange(4.0).reshape(1, 4, 1)
    law = DiagonalGaussian(z[0], scale=torch.tensor(width))
    decoder = SimpleNamespace(log_prob=lambda x: torch.full((1, 4), -scored))
    return Pass(
        Batch(torch.zeros(4, 1)), torch.zeros(4, 1), (Layer(z, law, DiagonalGaussian(0 * z[0], scale=torch.ones(1))),), decoder
    )


@pytest.mark.spec("DM21")
def test_the_model_pays_distortion_and_the_verdict_on_its_codes_but_no_information() -> None:
    objective = AdversarialAutoencoder(Setting((), ((1,),), 1, 4), layers=1, width=2)
    logits = torch.tensor([-2.0, 0.0, 1.0, 3.0])
    objective.discriminator = Scores(logits)
    losses = [objective.loss(seen(width, 7.0), {}) for width in (1.0, 0.01)]
    verdict = float(-torch.sigmoid(logits).log().mean())
    for loss in losses:
        assert float(loss.total.detach()) == pytest.approx(7.0 + verdict, rel=1e-6)
        assert float(loss.terms["adversarial"]) == pytest.approx(verdict, rel=1e-6)


def trained(objective: dict[str, object], epochs: int = 60) -> Tensor:
    """(N,) codes of one latent for points on a curve, after training."""
    torch.manual_seed(0)
    t = np.random.default_rng(0).uniform(0, 1, 1000)
    x = np.stack([t, t**2, np.sin(3 * t)], -1).astype(np.float32)
    data = Dataset("a curve", Support.REAL, Split(x), Split(x), Split(x))
    network = {"name": "mlp", "hidden": [32]}
    node = {"name": "vae", "latent_dim": 1, "encoder": {"name": "gaussian", "network": network}, "standardise": True}
    node["decoder"] = {"name": "gaussian", "network": network, "sigma": 0.3}
    model = MODELS.build(MODELS.resolve(node, "model"), data)
    made = OBJECTIVES.build(
        OBJECTIVES.resolve(objective, "objective"), Setting(model.event_shape, model.latent_shapes, epochs, 1000)
    )
    adam = OPTIMISERS.resolve({"name": "adam", "lr": 3e-3, "betas": [0.5, 0.9]}, "optimiser")
    trainer = Trainer(model, made, data, adam, Plan(epochs=epochs, batch_size=100, validate_every=epochs), 0)
    while not trainer.done:
        trainer.run_epoch()
    with torch.no_grad():
        return model.eval()(Batch(torch.as_tensor(x)), LiveNoise(1)).top.z.flatten()


@pytest.mark.spec("DM43")
def test_the_discriminator_of_codes_has_three_layers_of_a_thousand() -> None:
    objective = OBJECTIVES.build(OBJECTIVES.resolve("adversarial-autoencoder", "objective"), Setting((), ((50,),), 1, 1))
    shapes = [tuple(weight.shape) for name, weight in objective.named_parameters() if name.endswith("weight")]
    assert shapes == [(1000, 50), (1000, 1000), (1000, 1000), (1, 1000)]
    slopes = [part.negative_slope for part in objective.modules() if isinstance(part, nn.LeakyReLU)]
    assert slopes == [0.2] * 3
    assert objective.discriminator(torch.zeros(7, 50)).shape == (7,)


@pytest.mark.spec("DM31")
def test_trained_codes_lie_as_the_marginal_says() -> None:
    """Kolmogorov's distance of the codes' histogram from N(0, 1): small, and far larger where the codes are left to themselves."""
    matched = trained({"name": "adversarial-autoencoder", "layers": 2, "width": 64})
    free = trained({"name": "beta", "beta": 0.0})
    distances = [stats.kstest(codes.numpy(), "norm").statistic for codes in (matched, free)]
    assert distances[0] < 0.1
    assert distances[1] > 2 * distances[0]

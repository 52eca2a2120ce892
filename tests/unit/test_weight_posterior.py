"""A posterior of the weights: local reparameterisation against drawing the weights, and the bound that is minimised."""

import math
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1] / "contract"))
from toys import batch_of, build

from ratelab.core.batch import LiveNoise
from ratelab.core.errors import UserError
from ratelab.core.objective import Setting
from ratelab.exact.gaussians import kl_diagonal
from ratelab.objectives import OBJECTIVES
from ratelab.objectives.weight_posterior import Drawn, WeightPosterior, disturbance, linear_layers
from ratelab.training import OPTIMISERS, Plan, Trainer

G = torch.Generator().manual_seed(0)
X = torch.randn(32, 5, generator=G, dtype=torch.float64)
TARGET = torch.randn(32, 3, generator=G, dtype=torch.float64)
MEAN = torch.randn(3, 5, generator=G, dtype=torch.float64)
LOG_DEVIATION = -0.5 + 0.3 * torch.randn(3, 5, generator=G, dtype=torch.float64)


def slopes(drawn: Drawn, n: int) -> Tensor:
    """(n, 30): draws of the gradient of the mean squared error of x W' in M and log S."""
    found = []
    for seed in range(n):
        mean, log_deviation = MEAN.clone().requires_grad_(), LOG_DEVIATION.clone().requires_grad_()
        outputs = X @ mean.mT + disturbance(X, log_deviation, drawn, LiveNoise(seed, dtype=torch.float64))
        error = (outputs - TARGET).square().sum(-1).mean()
        found.append(torch.cat([slope.flatten() for slope in torch.autograd.grad(error, (mean, log_deviation))]))
    return torch.stack(found)


@pytest.mark.spec("VF31")
def test_drawing_activations_has_the_mean_of_drawing_weights_and_less_variance() -> None:
    """Truth: E|x W' - t|^2 = |x M' - t|^2 + x^2 S^2', so d/dM = 2 (x M' - t)' x / B and d/dlog S = 2 S^2 mean(x^2)."""
    n = 3000
    local, plain = slopes("activations", n), slopes("weights", n)
    in_mean = 2 * (X @ MEAN.mT - TARGET).mT @ X / len(X)
    in_deviation = 2 * LOG_DEVIATION.exp().square() * X.square().mean(0)
    truth = torch.cat([in_mean.flatten(), in_deviation.flatten()])
    for found in (local, plain):
        assert ((found.mean(0) - truth).abs() < 4.5 * found.std(0) / n**0.5).all()
    assert (local.var(0) < plain.var(0)).all()
    assert local.var(0).sum() < 0.25 * plain.var(0).sum()


def chosen(drawn: str = "activations", **options: object) -> WeightPosterior:
    node = OBJECTIVES.resolve({"name": "weight-posterior", "drawn": drawn, **options}, "objective")
    return OBJECTIVES.build(node, Setting((1, 8, 8), ((3,),), 10, 60))


def test_the_cost_is_the_divergence_of_the_posterior_per_example() -> None:
    model, dataset = build("vae")
    objective = chosen(spread=0.7, start=0.05)
    (player,) = objective.players(model)
    terms = objective.turn(model, batch_of(dataset), LiveNoise(0), {}).loss.terms
    layers = linear_layers(model)
    assert len(layers) == 2, "the decoder's, not the encoder's"
    expected = sum(
        kl_diagonal(*(t.flatten() for t in (m, torch.full_like(m, 0.05), torch.zeros_like(m), torch.full_like(m, 0.7))))
        for m in (layer.weight.detach() for layer in layers)
    )
    assert float(terms["weight_cost"]) == pytest.approx(float(expected) / 60, rel=1e-5)
    assert float(terms["deviation"]) == pytest.approx(0.05, rel=1e-5)
    assert len(player.parameters) == len(list(model.parameters())) + 2


def test_without_deviation_it_is_the_elbo_and_the_cost() -> None:
    model, dataset = build("vae")
    objective = chosen(start=1e-12)
    objective.players(model)
    elbo = OBJECTIVES.build({"name": "elbo", "form": "closed"}, Setting((1, 8, 8), ((3,),), 10, 60))
    loss = objective.turn(model, batch_of(dataset), LiveNoise(0), {}).loss
    noise = LiveNoise(0)
    model(batch_of(dataset), noise)  # what is logged is drawn first
    plain = elbo.turn(model, batch_of(dataset), noise, {}).loss
    assert float(loss.total.detach() - loss.terms["weight_cost"]) == pytest.approx(float(plain.total.detach()), rel=1e-4)


@pytest.mark.parametrize("drawn", ["activations", "weights"])
def test_deviations_grow_where_the_data_say_little(drawn: str) -> None:
    """Trained on 60 random images the posterior goes from narrow towards the law of the weights, and is kept in the checkpoint."""
    model, dataset = build("vae")
    objective = chosen(drawn, spread=0.3)
    optimiser = OPTIMISERS.resolve({"name": "adam", "lr": 0.02}, "optimiser")
    trainer = Trainer(model, objective, dataset, optimiser, Plan(epochs=40, batch_size=30, validate_every=40), 0)
    rows = [trainer.run_epoch() for _ in range(40)]
    assert trainer.status == "done"
    assert rows[-1]["train/deviation"] > 3 * rows[0]["train/deviation"]
    assert rows[-1]["train/weight_cost"] < rows[0]["train/weight_cost"]
    assert math.isfinite(rows[-1]["validation/neg_elbo"])
    tensors, _ = trainer.full_state()
    assert sum(name.startswith("objective/log_deviations") for name in tensors) == 2
    assert not any(layer._forward_hooks for layer in linear_layers(model)), "the model is left as it was"


def test_a_model_without_such_layers_is_refused() -> None:
    model, _ = build("tables")
    with pytest.raises(UserError, match="fully connected layers, and this model's generative side has none"):
        chosen().players(model)

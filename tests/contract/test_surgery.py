"""ELBO surgery on trained models: rate - log N <= KL(q(z) || m(z)) <= rate (Rosca et al. 2018, section 2)."""

import math

import numpy as np
import pytest
import torch
from toys import CASES, build

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.objective import Setting
from ratelab.objectives import OBJECTIVES
from ratelab.training import OPTIMISERS, Plan, Trainer

DRAWS = 400


@pytest.mark.spec("DM02")
@pytest.mark.parametrize("beta", [0.05, 1.0])
@pytest.mark.parametrize("case", ["vae", "vae, standardised gaussian", "hierarchy of one"])
def test_the_marginal_divergence_lies_between_the_rate_and_the_rate_less_log_n(case: str, beta: float) -> None:
    """On the empirical distribution of the N training examples, with q(z) the mixture of all N posteriors."""
    assert case in CASES
    model, dataset = build(case)
    setting = Setting(model.event_shape, model.latent_shapes, 60, len(dataset.train))
    objective = OBJECTIVES.build({"name": "beta", "beta": beta}, setting)
    optimiser = OPTIMISERS.resolve({"name": "adam", "lr": 1e-2}, "optimiser")
    trainer = Trainer(model, objective, dataset, optimiser, Plan(epochs=60, batch_size=20, validate_every=60), seed=0)
    while not trainer.done:
        trainer.run_epoch()
    model.double().eval()
    x = torch.as_tensor(dataset.train.x).double() * dataset.scale
    with torch.no_grad():
        (layer,) = model(Batch(x), LiveNoise(0, dtype=torch.float64), DRAWS).layers
        assert layer.encoder is not None
        n = len(x)
        # log q(z) of every draw under all N posteriors: (K, N draws, N components)
        mixture = layer.encoder.log_prob(layer.z.unsqueeze(2).expand(-1, -1, n, -1)).logsumexp(-1) - math.log(n)
        gap = (mixture - layer.log_marginal).flatten().numpy()
        information = (layer.log_encoder - mixture).flatten().numpy()
    rate = float(layer.closed_rate.mean())
    divergence, error = float(gap.mean()), 4 * float(np.std(gap)) / math.sqrt(gap.size)
    assert rate - math.log(n) - error <= divergence <= rate + error
    assert rate == pytest.approx(
        divergence + float(information.mean()), abs=error + 4 * float(np.std(information)) / math.sqrt(gap.size)
    )
    if beta < 1:
        assert rate - divergence > 0.5 * math.log(n), "a model that carries information uses up most of log N"

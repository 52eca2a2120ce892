"""ELBO surgery on every model: density model <= Monte Carlo <= rate, and rate - log N <= KL(q(z) || m(z)) <= rate (Rosca et al. 2018)."""

import math

import numpy as np
import pytest
import torch
from toys import CASES, build, taught

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.dataset import Dataset
from ratelab.core.model import Model
from ratelab.core.objective import Setting
from ratelab.estimators import ESTIMATORS
from ratelab.evaluation import check_estimators
from ratelab.objectives import OBJECTIVES
from ratelab.training import OPTIMISERS, Plan, Trainer

MIXTURE = ESTIMATORS.resolve(
    {"name": "marginal-kl-gmm", "components": 5, "steps": 60, "lr": 0.05, "batch_size": 60}, "estimators"
)
REPEATS = 16


def ordered(case: str) -> bool:
    """Whether the codes of a model have a density given x alone, and are vectors that a density model can learn."""
    model, dataset = build(case)
    nodes = [ESTIMATORS.resolve("marginal-kl", "e"), MIXTURE]
    return not check_estimators(model, dataset, nodes, lambda *_: torch.nn.Module())


ORDERED = [case for case in CASES if ordered(case)]


def trained(model: Model, dataset: Dataset, beta: float, epochs: int) -> None:
    setting = Setting(model.event_shape, model.latent_shapes, epochs, len(dataset.train))
    objective = OBJECTIVES.build({"name": "beta", "beta": beta}, setting)
    optimiser = OPTIMISERS.resolve({"name": "adam", "lr": 1e-2}, "optimiser")
    trainer = Trainer(model, objective, dataset, optimiser, Plan(epochs=epochs, batch_size=20, validate_every=epochs), seed=0)
    while not trainer.done:
        trainer.run_epoch()


def assert_ordered(model: Model, dataset: Dataset) -> float:
    """Of the mixture of the N training examples' posteriors, over fresh draws that all numbers share; the mean information, nats."""
    density = taught(MIXTURE, model, dataset)
    x = torch.as_tensor(dataset.train.x).float() * dataset.scale
    rows = []
    for seed in range(REPEATS):
        found = {}
        for name, parts in (("marginal-kl", ()), (MIXTURE["name"], (density,)), ("rate-distortion", ())):
            estimator = ESTIMATORS.build(ESTIMATORS.resolve(name, "e"), *parts)
            with torch.no_grad():
                estimator.observe(model, Batch(x), LiveNoise(seed))
            found |= estimator.result()
        values = [found[name].value for name in ("marginal_kl_gmm", "marginal_kl", "information")]
        rows.append([*values, found["rates"][0].value])
    learnt, divergence, information, rate = np.array(rows).T

    def below(low: np.ndarray, high: np.ndarray) -> bool:
        gap = high - low
        return bool(gap.mean() > -4 * gap.std(ddof=1) / math.sqrt(REPEATS) - 1e-5)

    assert below(learnt, divergence)
    assert below(divergence, rate)
    assert below(rate - math.log(len(x)), divergence)
    return float(information.mean())


def test_the_models_of_the_contract_that_have_codes_are_looked_at() -> None:
    assert {
        "vae",
        "vae, standardised gaussian",
        "hierarchy of two",
        "xiao2023",
        "vae, full covariance",
        "vae, iaf flow",
    } <= set(ORDERED)
    assert len(ORDERED) > 40


LONG = ("vae, naf flow", "vae, naf flow that sees x", "local")  # a network for each unit alone; a search for each example


@pytest.mark.spec("DM02")
@pytest.mark.parametrize("case", [pytest.param(case, marks=pytest.mark.slow) if case in LONG else case for case in ORDERED])
def test_density_model_monte_carlo_and_rate_are_in_order_on_every_model(case: str) -> None:
    model, dataset = build(case)
    trained(model, dataset, 0.2, 20)
    assert_ordered(model.eval(), dataset)


@pytest.mark.spec("DM02")
@pytest.mark.parametrize("case", ["vae", "vae, standardised gaussian", "hierarchy of one"])
def test_models_that_carry_much_use_up_most_of_log_n(case: str) -> None:
    model, dataset = build(case)
    trained(model, dataset, 0.05, 60)
    assert assert_ordered(model.eval(), dataset) > 0.5 * math.log(len(dataset.train))

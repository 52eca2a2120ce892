"""What a pass reports is what the definitions say: a model of finite tables against exact enumeration."""

import pytest
import torch
from torch import Tensor

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.objective import Setting
from ratelab.core.passes import Pass
from ratelab.exact.tables import FiniteTables, random_tables
from ratelab.models.tables import TableModel
from ratelab.objectives import OBJECTIVES

X, Z = 6, 4


def tabular(tables: FiniteTables) -> TableModel:
    x = torch.arange(X, dtype=torch.float64).numpy()
    split = Split(x)
    model = TableModel(Dataset("states", Support.REAL, split, split, split), states=X, latent_states=Z).double()
    with torch.no_grad():
        model.encoder_logits.copy_(tables.encoder.log())
        model.decoder_logits.copy_(tables.decoder.log())
        model.marginal_logits.copy_(tables.marginal.log())
    return model


def exact_pass(model: TableModel, tables: FiniteTables) -> Pass:
    """Every state once, weighted by p*(x): the batch is the whole distribution."""
    x = torch.arange(X, dtype=torch.float64)
    return model(Batch(x, weight=tables.data), LiveNoise(0, dtype=torch.float64))


@pytest.mark.spec("RD02", "RD03", "HV15")
@pytest.mark.parametrize("seed", range(20))
def test_rate_and_distortion_equal_their_definitions(seed: int) -> None:
    tables = random_tables(X, Z, seed)
    seen = exact_pass(tabular(tables), tables)
    assert torch.allclose(seen.mean(seen.distortion), tables.distortion, atol=1e-10)
    assert torch.allclose(seen.mean(seen.rate), tables.rate, atol=1e-10)
    assert torch.allclose(seen.mean(seen.closed_rate), tables.rate, atol=1e-10)


@pytest.mark.spec("RD19", "VF11")
@pytest.mark.parametrize("form", ["closed", "sampled", "joint"])
def test_all_forms_of_the_elbo_are_equal_and_beta_one_is_the_elbo(form: str) -> None:
    tables = random_tables(X, Z, 3)
    seen = exact_pass(tabular(tables), tables)
    setting = Setting((), ((),), 10, X)
    elbo = OBJECTIVES.build({"name": "elbo", "form": form}, setting).double().loss(seen, {}).total
    beta = OBJECTIVES.build({"name": "beta", "beta": 1.0}, setting).double().loss(seen, {}).total
    assert torch.allclose(elbo, tables.neg_elbo, atol=1e-10)
    assert torch.allclose(beta, tables.neg_elbo, atol=1e-10)


@pytest.mark.spec("VF09")
def test_minibatch_means_average_to_the_full_mean_in_value_and_gradient() -> None:
    """Over all minibatches of two out of six, the mean of the minibatch loss and of its gradient is the full batch's."""
    from itertools import combinations

    tables = random_tables(X, Z, 5)
    model = tabular(tables)
    parameters = list(model.parameters())

    def loss(rows: Tensor) -> tuple[Tensor, list[Tensor]]:
        seen = model(Batch(rows), LiveNoise(0, dtype=torch.float64))
        value = seen.mean(seen.distortion + seen.rate)
        return value.detach(), list(torch.autograd.grad(value, parameters))

    value, gradient = loss(torch.arange(X, dtype=torch.float64))
    every = [loss(torch.tensor(pair, dtype=torch.float64)) for pair in combinations(range(X), 2)]
    assert torch.allclose(torch.stack([v for v, _ in every]).mean(), value, atol=1e-12)
    for position, whole in enumerate(gradient):
        assert torch.allclose(torch.stack([g[position] for _, g in every]).mean(0), whole, atol=1e-12)


@pytest.mark.spec("VF12")
def test_the_elbo_misses_log_evidence_by_the_posterior_divergence() -> None:
    tables = random_tables(X, Z, 8)
    model = tabular(tables)
    x = torch.arange(X, dtype=torch.float64)
    seen = model(Batch(x), LiveNoise(0, dtype=torch.float64))
    elbo = -seen.per_example(seen.distortion + seen.rate)
    joint = model.log_joint(x, (seen.layers[0].z,))
    log_evidence = torch.logsumexp(joint, 0)
    posterior = (joint - log_evidence).exp().T
    gap = (tables.encoder * (tables.encoder.log() - posterior.log())).sum(1)
    assert torch.allclose(log_evidence - elbo, gap, atol=1e-10)
    assert torch.allclose(log_evidence, tables.model_marginal.log(), atol=1e-10)

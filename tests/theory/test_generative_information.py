"""E <= I_d on models where the information between x and z under the model is known."""

import numpy as np
import pytest
import torch
from linear import linear_model, world

from ratelab.core.dataset import Dataset, Split, Support
from ratelab.estimators import ESTIMATORS
from ratelab.evaluation import evaluate
from ratelab.exact.linear_gaussian import LinearGaussianVAE
from ratelab.exact.tables import FiniteTables
from ratelab.models import MODELS

NODE = ESTIMATORS.resolve("generative-information", "e")


@pytest.mark.spec("RD14")
@pytest.mark.parametrize("width", [1.0, 2.0])
def test_the_gap_is_how_badly_the_encoder_inverts_the_model(width: float) -> None:
    """At beta = 1 with width 1 the encoder is the posterior: E = I_d = 1/2 log |A'A / s2 + I|. Wider, it loses a known KL."""
    exact, dataset = world(1.0, n=20000)
    wide = LinearGaussianVAE(
        exact.mean, exact.covariance, exact.encoder_weight, exact.encoder_bias, width * exact.encoder_covariance,
        exact.decoder_weight, exact.decoder_bias, exact.sigma2,
    )  # fmt: skip
    found = evaluate(linear_model(wide, dataset), dataset, "test", [NODE], seed=0)[0]["generative_information"]
    information = 0.5 * float(torch.logdet(exact.decoder_weight.mT @ exact.decoder_weight / exact.sigma2 + torch.eye(3)))
    gap = 1.5 * (np.log(width) + 1 / width - 1)
    assert abs(found.value - (information - gap)) < 4 * found.stderr
    assert found.bound == "lower"


@pytest.mark.spec("RD14")
def test_on_tables_it_is_the_sum() -> None:
    split = Split(np.zeros(20000, dtype=np.float32))
    dataset = Dataset("states", Support.REAL, split, split, split)
    torch.manual_seed(0)
    node = {"name": "tables", "states": 5, "latent_states": 3, "init": 1.0}
    model = MODELS.build(MODELS.resolve(node, "m"), dataset)
    found = evaluate(model, dataset, "test", [NODE], seed=0)[0]["generative_information"]
    tables = FiniteTables(
        torch.full((5,), 0.2).double(),
        *(table.detach().double().softmax(-1) for table in (model.encoder_table, model.decoder_table, model.marginal_table)),
    )
    assert abs(found.value - float(tables.e_functional)) < 4 * found.stderr
    assert found.value < float(tables.model_information)

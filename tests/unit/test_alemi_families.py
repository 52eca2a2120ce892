"""The shipped recipes of Alemi et al. 2018 with the deconvolutional decoder: sizes of the paper's layers, and a pass that works."""

import numpy as np
import pytest
import torch

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.models import MODELS
from ratelab.runs.shelf import read_recipe

ENCODERS = {"minus": 1_999_424, "plus": 1_999_424 + 3_612_416}
MARGINALS = {"normal": 0, "maf": 3_612_416, "vamp": 500 * 784 + 500}


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("marginal", MARGINALS)
def test_a_family_has_the_published_number_of_parameters_and_a_finite_pass(encoder: str, marginal: str) -> None:
    x = (np.random.default_rng(0).random((500, 1, 28, 28)) < 0.13).astype(np.uint8)
    dataset = Dataset("noise", Support.BINARY, Split(x), Split(x[:4]), Split(x[:4]))
    node = read_recipe(f"alemi2018/{encoder}-minus-{marginal}").base["model"]
    torch.manual_seed(0)
    model = MODELS.build(MODELS.resolve(node, "model"), dataset)
    parts = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    assert parts == {"encoder": ENCODERS[encoder], "decoder": 998_753, "marginal": MARGINALS[marginal]}
    with torch.no_grad():
        seen = model(Batch(torch.as_tensor(x[:2]).float()), LiveNoise(0))
        assert seen.rate.isfinite().all()
        assert seen.distortion.isfinite().all()
        assert model.generate(2, LiveNoise(0)).target.shape == (2, 1, 28, 28)

"""Linear-Gaussian VAEs out of the library's own parts, whose every number is known."""

import math

import numpy as np
import torch

from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.model import Model
from ratelab.exact.linear_gaussian import LinearGaussianVAE, optimal_vae
from ratelab.models import MODELS

LINEAR = {"name": "mlp", "hidden": []}


def linear_model(exact: LinearGaussianVAE, dataset: Dataset) -> Model:
    """The same linear-Gaussian VAE out of the library's own parts."""
    k = exact.encoder_bias.shape[0]
    node = {
        "name": "vae",
        "latent_dim": k,
        "encoder": {"name": "gaussian", "network": LINEAR},
        "decoder": {"name": "gaussian", "network": LINEAR, "sigma": math.sqrt(float(exact.sigma2))},
    }
    model = MODELS.build(MODELS.resolve(node, "model"), dataset)
    with torch.no_grad():
        head, out = model.encoder.head.out, model.decoder.network.head
        head.weight.copy_(torch.cat([exact.encoder_weight, torch.zeros_like(exact.encoder_weight)]))
        head.bias.copy_(torch.cat([exact.encoder_bias, 0.5 * exact.encoder_covariance.diagonal().log()]))
        out.weight.copy_(exact.decoder_weight)
        out.bias.copy_(exact.decoder_bias)
    return model


def world(beta: float, n: int = 4000, seed: int = 0) -> tuple[LinearGaussianVAE, Dataset]:
    exact = optimal_vae(torch.tensor([1.0, -2.0, 0.5]), torch.diag(torch.tensor([3.0, 1.5, 0.4])), 0.3, 3, beta)
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal((n, 3)) * np.sqrt([3.0, 1.5, 0.4]) + np.array([1.0, -2.0, 0.5])).astype(np.float32)
    split = Split(x)
    return exact, Dataset("linear-Gaussian", Support.REAL, split, split, split)

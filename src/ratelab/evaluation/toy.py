"""A toy model against the law its data has: every number of Alemi et al. 2018, section 4, and what their Fig. 2 draws, exactly."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ratelab.core.model import Model
from ratelab.data.toy import joint
from ratelab.exact.blahut_arimoto import fixed_decoder_curve
from ratelab.exact.clusters import class_codes, class_masses, class_overlap, two_cluster_share
from ratelab.exact.discrete import kl
from ratelab.exact.sampling import empirical, overfitting_target, sample_divergence
from ratelab.exact.tables import FiniteTables
from ratelab.models.tables import FiniteModel

Arrays = dict[str, NDArray[np.float64]]
SLOPES = (0.02, 8.0)  # dD/dR at the ends of the curve


def law_of(data: Mapping[str, Any]) -> Tensor:
    """p(c, x), (2, bins), of a recipe's data node ``toy``."""
    return torch.as_tensor(joint(data["bins"], data["information"], data["reach"]))


def optimum(classes: Tensor) -> FiniteTables:
    """The hand-made optimum: two codes with e = p(c|x), m = p(c), d = p(x|c), so that R = I_e and D + R = H."""
    law, masses = classes.sum(0), classes.sum(1)
    return FiniteTables(law, (classes / law).mT, classes / masses.unsqueeze(1), masses)


def toy_tables(model: Model, classes: Tensor) -> FiniteTables | None:
    """A trained model's tables beside p\\*(x); None where it is no finite model of that many states."""
    if not isinstance(model, FiniteModel) or model.encoder_table.shape[0] != classes.shape[1]:
        return None
    return model.tables(classes.sum(0))


def toy_numbers(tables: FiniteTables, classes: Tensor) -> dict[str, float]:
    """Nats, under p\\*(x).

    ``rate``, ``distortion``; ``excess``: D + R - H; ``useless``: R - I_e, the part of the rate that carries nothing; ``divergence``:
    KL(p\\*(x) || g(x)); ``e``, ``generative_information``, ``g``: E <= I_d <= G, with q = p\\*. Shares: ``two_clusters``, of the
    information kept by two clusters of codes; ``class_0``, of m(z) on the codes of class 0; ``overlap``: total variation between the
    codes of the classes.
    """
    found = {
        "rate": tables.rate,
        "distortion": tables.distortion,
        "excess": tables.joint_gap,
        "useless": tables.marginal_gap,
        "divergence": tables.model_gap,
        "e": tables.e_functional,
        "generative_information": tables.model_information,
        "g": tables.g_functional(tables.data),
        "two_clusters": two_cluster_share(tables),
        "class_0": class_masses(tables, classes)[..., 0],
        "overlap": class_overlap(tables, classes),
    }
    return {name: float(value) for name, value in found.items()}


def overfitting_numbers(tables: FiniteTables, states: NDArray[np.floating]) -> dict[str, float]:
    """How far a model trained on draws (N,) has gone from the law to the sample, nats, with its own law g as q.

    ``target``: H - log N; ``law_from_sample``: KL(p^ || p\\*); ``s_sample``: KL(p^ || g), S on the sample; ``s``: KL(p\\* || g), S itself;
    ``u``: U, so that U - S = H - D <= I_e = ``information``; ``neg_elbo``: D + R on the sample.
    """
    draws, model = torch.as_tensor(states).long(), tables.model_marginal
    share = empirical(draws, len(tables.data))
    sample = replace(tables, data=share)
    found = {
        "law_from_sample": sample_divergence(draws, tables.data),
        "s_sample": kl(share, model),
        "s": tables.s_functional(model),
        "u": tables.u_functional(model),
        "information": tables.encoder_information,
        "neg_elbo": sample.neg_elbo,
    }
    target = overfitting_target(float(tables.entropy), len(draws))
    return {"examples": float(len(draws)), "target": target, **{name: float(value) for name, value in found.items()}}


def toy_panel(tables: FiniteTables, classes: Tensor) -> Arrays:
    """One column of Fig. 2, by the figure's names: laws of x (X,), laws of z (Z,), and three tables."""
    codes = class_codes(tables, classes)
    found = {
        "p*(x)": tables.data,
        "g(x)": tables.model_marginal,
        "d(x)": tables.aggregated_posterior @ tables.decoder,
        "m(z)": tables.marginal,
        "e(z)": tables.aggregated_posterior,
        "e(z|0)": codes[0],
        "e(z|1)": codes[1],
        "e(z|x)": tables.encoder,
        "d(x|z)": tables.decoder,
        "p(x'|x)": tables.encoder @ tables.decoder,
    }
    return {name: value.numpy() for name, value in found.items()}


def toy_curve(classes: Tensor, points: int = 120) -> Arrays:
    """``rate`` and ``distortion`` of the best that any encoder and marginal reach with the true decoder p(x|c), by Blahut-Arimoto."""
    decoder = classes / classes.sum(1, keepdim=True)
    slopes = torch.as_tensor(np.geomspace(*SLOPES, points))
    curve = fixed_decoder_curve(classes.sum(0), decoder, slopes, tolerance=1e-9)
    return {"rate": curve.rate.numpy(), "distortion": curve.distortion.numpy()}

"""Any estimator on a model that was made elsewhere: its rate, distortion and bounds from encoder, decoder and marginal."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.core.estimator import Result
from ratelab.estimators import ESTIMATORS
from ratelab.evaluation.measure import evaluate
from ratelab.models.foreign import AnyLaw, Decoder, Encoder, ForeignModel


def measure(
    encoder: Encoder,
    decoder: Decoder,
    marginal: AnyLaw | None,
    X: ArrayLike,
    *,
    y: ArrayLike | None = None,
    estimators: Sequence[str | Mapping[str, Any]] = ("rate-distortion",),
    seed: int = 0,
    batch_size: int = 500,
) -> dict[str, Result]:
    """Named estimates of a model with one layer of latents on examples ``X`` (N, \\*event), in the units that its parts work in.

    ``encoder``: x (B, \\*event) -> e(z|x), a ``torch.distributions`` law, or the pair (mean, log variance). ``decoder``: z (n, \\*latent)
    -> d(x|z), a law; a squared error is a ``Normal`` with a stated sigma. ``marginal``: m(z), or None for N(0, I). ``estimators``:
    as for ``ratelab evaluate``. ``y``: (N,) integer labels, for those that need them. Put modules into evaluation mode on the CPU
    first. Raises :class:`UserError` where the parts do not fit.

    >>> from torch.distributions import Normal
    >>> found = measure(lambda x: Normal(0 * x, 1.0 + 0 * x), lambda z: Normal(0 * z, 1.0 + 0 * z), None, np.zeros((50, 3)))
    >>> found["rate"].value, round(found["distortion"].value, 3)
    (0.0, 2.757)
    """
    if batch_size < 1:
        raise UserError(f"batch_size: {batch_size} is too few; give at least 1")
    try:
        x = np.ascontiguousarray(np.asarray(X), dtype=np.float32)
    except (TypeError, ValueError):
        raise UserError("X: expected an array of numbers (N, ...)") from None
    if x.ndim < 2 or not len(x):
        raise UserError(f"X: expected examples (N, ...) with N at least 1, got shape {x.shape}")
    if not np.isfinite(x).all():
        raise UserError("X: it holds NaN or infinity; leave those examples out")
    split = Split(x, labels(y, len(x)))
    dataset = Dataset("X", Support.REAL, split, split, split)
    given = [estimators] if isinstance(estimators, (str, Mapping)) else estimators
    nodes = [ESTIMATORS.resolve(node, "estimators") for node in given]
    names = [node["name"] for node in nodes]
    if len(set(names)) < len(names):
        raise UserError(f"estimators: '{max(names, key=names.count)}' is listed twice; measure once for each of its options")
    model = ForeignModel(encoder, decoder, marginal, torch.as_tensor(x[:1]))
    return evaluate(model, dataset, "test", nodes, seed, batch_size=batch_size)[0]


def labels(y: ArrayLike | None, n: int) -> NDArray[np.int64] | None:
    """``y`` as (n,) integers; :class:`UserError` where it is something else."""
    if y is None:
        return None
    found = np.asarray(y)
    if found.shape != (n,) or found.dtype.kind not in "iu":
        raise UserError(f"y: expected {n} integer labels, one for each example, got {found.dtype} of shape {found.shape}")
    return found.astype(np.int64)

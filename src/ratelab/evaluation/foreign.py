"""Any estimator on a model that was made elsewhere: its rate, distortion and bounds from encoder, decoder and marginal."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral
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

UNKNOWN = "the model's parts gave NaN on the way to it"


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
    by name, or with options as mappings, as for ``ratelab evaluate`` except its 'all'. ``y``: (N,) integer labels, for those that need
    them. Put modules into evaluation mode on the CPU first. Raises :class:`UserError` where the parts do not fit.

    >>> from torch.distributions import Normal
    >>> found = measure(lambda x: Normal(0 * x, 1.0 + 0 * x), lambda z: Normal(0 * z, 1.0 + 0 * z), None, np.zeros((50, 3)))
    >>> found["rate"].value, round(found["distortion"].value, 3)
    (0.0, 2.757)
    """
    seed, batch_size = whole(seed, "seed", least=0), whole(batch_size, "batch_size", least=1)
    nodes = named(estimators)
    x = examples(X)
    split = Split(x, labels(y, len(x)))
    dataset = Dataset("X", Support.REAL, split, split, split)
    model = ForeignModel(encoder, decoder, marginal, torch.as_tensor(x[:1]))
    found = evaluate(model, dataset, "test", nodes, seed, batch_size=min(batch_size, len(x)))[0]
    return {name: explained(result) for name, result in found.items()}


def whole(value: object, name: str, least: int) -> int:
    """``value`` as an int; :class:`UserError` for what is no whole number (as True is none) or is below ``least``."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise UserError(f"{name}: expected a whole number of at least {least}, got {value!r}")
    return int(value)


def named(estimators: object) -> list[dict[str, Any]]:
    """Resolved nodes of one estimator or several; :class:`UserError` for none, for one that is not known or is listed twice."""
    given = [estimators] if isinstance(estimators, (str, Mapping)) else estimators
    if not isinstance(given, Iterable) or isinstance(given, bytes) or not (listed := list(given)):
        raise UserError(f"estimators: expected names, e.g. ['rate-distortion', 'iwae'], got {estimators!r}")
    if "all" in (node.get("name") if isinstance(node, Mapping) else node for node in listed):
        raise UserError("estimators: 'all' is for runs; name what to measure, e.g. ['iwae', 'marginal-kl']")
    nodes = [ESTIMATORS.resolve(node, "estimators") for node in listed]
    names = [node["name"] for node in nodes]
    if len(set(names)) < len(names):
        raise UserError(f"estimators: '{max(names, key=names.count)}' is listed twice; measure once for each of its options")
    return nodes


def explained(result: Result) -> Result:
    """``result`` with a reason where it is NaN and the estimator gave none."""
    if isinstance(result, list):
        return [replace(each, why=UNKNOWN) if math.isnan(each.value) and each.why is None else each for each in result]
    return replace(result, why=UNKNOWN) if math.isnan(result.value) and result.why is None else result


def array(values: object, wanted: str) -> NDArray[Any]:
    """An array, or a tensor of any device, history and precision, as numpy sees it; :class:`UserError` saying what is ``wanted``."""
    try:
        if isinstance(values, torch.Tensor):
            values = values.detach().cpu()
            values = values.float() if values.is_floating_point() else values  # numpy has no bfloat16
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError):
        raise UserError(wanted) from None


def examples(X: ArrayLike) -> NDArray[np.float32]:
    """``X`` as (N, \\*event) float32; :class:`UserError` where it is something else."""
    wanted = "X: expected an array of numbers (N, ...)"
    found = array(X, wanted)
    if found.dtype.kind not in "biuf":  # casting would read text as numbers, and drop the imaginary part of complex ones
        raise UserError(f"{wanted}, got {found.dtype}; give real numbers")
    if found.ndim < 2 or not found.size:
        raise UserError(f"X: expected examples (N, ...) with N at least 1, got shape {found.shape}")
    with np.errstate(over="ignore"):
        x = np.ascontiguousarray(found, dtype=np.float32)
    if not np.isfinite(x).all():
        raise UserError("X: it holds NaN or infinity, or numbers beyond float32; leave those examples out")
    return x


def labels(y: ArrayLike | None, n: int) -> NDArray[np.int64] | None:
    """``y`` as (n,) integers 0 .. C-1, ordered as its values, which are but names; :class:`UserError` where it is something else."""
    if y is None:
        return None
    found = array(y, f"y: expected {n} integer labels, one for each example")
    if found.shape != (n,) or found.dtype.kind not in "iu":
        raise UserError(f"y: expected {n} integer labels, one for each example, got {found.dtype} of shape {found.shape}")
    return np.unique(found, return_inverse=True)[1].astype(np.int64)  # what counts classes makes room up to the largest

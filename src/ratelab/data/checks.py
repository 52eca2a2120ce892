"""What every array has to be before it becomes a split: numbers, finite, inside its support, with as many labels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ratelab.core.dataset import Split, Support
from ratelab.core.errors import UserError

_LIMITS = {Support.BINARY: (0, 1), Support.UNIT: (0, 1), Support.LEVELS: (0, 255)}


def checked_split(x: NDArray[Any], y: NDArray[Any] | None, support: Support, where: str) -> Split:
    """A split of values as ``support`` stores them (uint8 or float32) and of int64 labels.

    Raises :class:`UserError` naming ``where`` for no rows, values that are no numbers, NaN, infinity, values outside the
    support, and labels that are not one integer per row.
    """
    if y is not None and len(y) != len(x):
        raise UserError(f"{where}: {len(x)} examples but {len(y)} labels; give one label per example")
    return Split(checked_values(x, support, where), None if y is None else checked_labels(y, where))


def checked_values(x: NDArray[Any], support: Support, where: str) -> NDArray[np.generic]:
    """``x`` in the type its support is stored in, or a :class:`UserError`."""
    require_numbers(x, where)
    limits = _LIMITS.get(support)
    if limits is not None and (x.min() < limits[0] or x.max() > limits[1]):
        place = _place((x < limits[0]) | (x > limits[1]))
        raise UserError(
            f"{where}: values run from {x.min():g} to {x.max():g}, '{support.value}' data lies in "
            f"[{limits[0]}, {limits[1]}] (first value outside at {place}); rescale it or declare another support"
        )
    if support in (Support.UNIT, Support.REAL):
        return _owned(x.astype(np.float32, copy=False))
    stored = x.astype(np.uint8, copy=False)
    if x.dtype.kind == "f" and (stored != x).any():
        place = _place(stored != x)
        raise UserError(
            f"{where}: '{support.value}' data is whole numbers, but the value at {place} is not; declare another support"
        )
    return _owned(stored)


def _owned(x: NDArray[Any]) -> NDArray[np.generic]:
    """Contiguous and writable, as torch wants arrays that it shares memory with; a copy only where needed."""
    return np.require(x, requirements=["C", "W"])


def require_numbers(x: NDArray[Any], where: str) -> None:
    """Raise :class:`UserError` unless ``x`` has rows and holds finite real numbers only."""
    if x.dtype.kind not in "biuf":
        raise UserError(f"{where}: values of type {x.dtype} are no real numbers; save the array as integers or floats")
    if x.size == 0:
        raise UserError(f"{where}: there are no values (shape {x.shape}); give at least one example")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        bad = ~np.isfinite(x)
        raise UserError(
            f"{where}: {int(bad.sum())} values are NaN or infinite (first at {_place(bad)}); remove or replace them"
        )


def checked_labels(y: NDArray[Any], where: str, classes: int | None = None) -> NDArray[np.int64]:
    """Labels (N,) or (N, 1) as int64, from 0 to ``classes`` - 1 where that is known."""
    flat = y.reshape(-1) if y.ndim == 2 and y.shape[1] == 1 else y
    if flat.ndim != 1 or flat.dtype.kind not in "biu":
        raise UserError(f"{where}: labels must be one whole number per example; got shape {y.shape} of type {y.dtype}")
    if classes is not None and flat.size and (flat.min() < 0 or flat.max() >= classes):
        raise UserError(f"{where}: labels run from {flat.min()} to {flat.max()}, not from 0 to {classes - 1}")
    return flat.astype(np.int64)


def _place(bad: NDArray[np.bool_]) -> str:
    index = np.unravel_index(int(bad.argmax()), bad.shape)
    return "[" + ", ".join(str(int(i)) for i in index) + "]"

"""Your own arrays from an ``.npy`` or ``.npz`` file: images of any shape, or tables."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ratelab.core.dataset import SPLITS, Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.data.checks import checked_split, require_numbers
from ratelab.data.formats import load_numpy
from ratelab.data.partition import Fraction, partitioned
from ratelab.data.source import Seed, Source

Layout = Literal["auto", "NCHW", "NHWC", "HW"]
_CHANNELS = (1, 3)


@dataclass(frozen=True, kw_only=True)
class Array(Source):
    """Your own array: an .npy file, or an .npz with x (and y), or with train, validation and test.

    ``path`` in a recipe file is looked for beside that file, else in the working directory. ``key`` names the array of an
    .npz (default ``x``, or its only one) and ``labels`` that of the labels (default ``y``). An .npz with ``train``,
    ``validation``, ``test`` (labels ``train_y`` and so on) keeps its splits; otherwise the rows are shuffled by ``seed``
    and the two fractions held out. ``layout``: (N, D) is a table, (N, H, W) grey images (``HW``); (N, C, H, W) and (N, H,
    W, C) are told apart by the axis of 1 or 3 channels. ``support``: ``auto`` takes 0/1 for binary, other bytes for 256
    levels, floats within [0, 1] for the unit interval, anything else for real.
    """

    path: str
    key: str | None = None
    labels: str | None = None
    layout: Layout = "auto"
    support: Literal["auto", "binary", "unit", "levels", "real"] = "auto"
    validation: Fraction = 0.1
    test: Fraction = 0.1
    seed: Seed = 0

    def read(self, root: Path) -> Dataset:
        path = Path(self.path).expanduser()
        if not path.is_file():
            raise UserError(f"data 'array': no file '{path.absolute()}'; give an .npy or .npz file")
        arrays, where = load_numpy(path), f"data 'array' ({path})"
        if self.key is None and all(which in arrays for which in SPLITS):
            named = [(arrays[which], arrays.get(f"{which}_y"), f"data 'array' ({path}, {which})") for which in SPLITS]
            support = self._support([x for x, _, _ in named], where)
            train, validation, test = (self._split(x, y, support, place) for x, y, place in named)
        else:
            x = _chosen(arrays, self.key, where)
            support = self._support([x], where)
            everything = self._split(x, _labels(arrays, self.labels, where), support, where)
            train, validation, test = partitioned(everything, self.validation, self.test, self.seed, where)
        return Dataset("array", support, train, validation, test, note=path.name)

    def _support(self, arrays: list[NDArray[Any]], where: str) -> Support:
        for x in arrays:
            require_numbers(x, where)
        return widest([recognised(x) for x in arrays]) if self.support == "auto" else Support(self.support)

    def _split(self, x: NDArray[Any], y: NDArray[Any] | None, support: Support, where: str) -> Split:
        return checked_split(arranged(x, self.layout, where), y, support, where)


def recognised(x: NDArray[Any]) -> Support:
    """What the values look like.

    >>> recognised(np.array([0.0, 1.0])).value, recognised(np.array([0.5])).value, recognised(np.array([-1])).value
    ('binary', 'unit', 'real')
    """
    low, high = x.min(), x.max()
    if low >= 0 and high <= 1:
        return Support.BINARY if x.dtype.kind != "f" or np.isin(x, (0, 1)).all() else Support.UNIT
    return Support.LEVELS if x.dtype == np.uint8 else Support.REAL


def widest(supports: list[Support]) -> Support:
    """The support that fits all splits."""
    order = [Support.BINARY, Support.UNIT, Support.LEVELS, Support.REAL]
    return max(supports, key=order.index)


def arranged(x: NDArray[Any], layout: Layout, where: str) -> NDArray[Any]:
    """Images as (N, C, H, W), tables as they are; raises :class:`UserError` where the layout cannot be told."""
    if layout == "auto":
        layout = _guess(x, where)
    axes = {"NCHW": 4, "NHWC": 4, "HW": 3, "table": 2}[layout]
    if x.ndim != axes:
        raise UserError(f"{where}: layout {layout} needs {axes} axes, the array has shape {x.shape}; give another layout")
    if layout == "NHWC":
        x = x.transpose(0, 3, 1, 2)
    return x[:, None] if layout == "HW" else x


def _guess(x: NDArray[Any], where: str) -> Any:
    if x.ndim == 2:
        return "table"
    if x.ndim == 3:
        return "HW"
    if x.ndim != 4:
        raise UserError(f"{where}: an array of shape {x.shape} is neither a table (N, D) nor images; reshape it")
    first, last = x.shape[1] in _CHANNELS, x.shape[3] in _CHANNELS
    if first == last:
        raise UserError(f"{where}: shape {x.shape} does not tell where the channels are; give layout: NCHW or layout: NHWC")
    return "NCHW" if first else "NHWC"


def _chosen(arrays: dict[str, NDArray[Any]], key: str | None, where: str) -> NDArray[Any]:
    names = ", ".join(name for name in arrays if name)
    if key is None:
        key = "x" if "x" in arrays else next(iter(arrays)) if len(arrays) == 1 else None
    if key is None or key not in arrays:
        raise UserError(f"{where}: no array '{key or 'x'}' (there are: {names}); name the one to use with key: NAME")
    return arrays[key]


def _labels(arrays: dict[str, NDArray[Any]], key: str | None, where: str) -> NDArray[Any] | None:
    if key is not None and key not in arrays:
        raise UserError(f"{where}: no array '{key}' for the labels (there are: {', '.join(n for n in arrays if n)})")
    return arrays.get(key or "y")

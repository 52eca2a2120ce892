"""Arrays in and out of files for the commands that use a trained model."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError

if TYPE_CHECKING:
    from ratelab.runs import Trained

Floats = NDArray[np.floating]


def check_output(path: Path, *suffixes: str) -> None:
    """:class:`UserError` before any work where ``path`` cannot become an output file."""
    if path.suffix not in suffixes:
        raise UserError(f"cannot write '{path}': its ending must be {' or '.join(suffixes)}")
    if path.is_dir():
        raise UserError(f"cannot write '{path}': a folder is in the way; choose another name")
    if not path.parent.is_dir():
        raise UserError(f"cannot write '{path}': there is no folder '{path.parent}'; make it first")


def check_picture(trained: "Trained", output: Path) -> None:
    """:class:`UserError` where a picture is asked for and the data is no image."""
    shape = trained.dataset.event_shape
    if output.suffix == ".png" and len(shape) != 3:
        raise UserError(f"cannot write '{output}': the examples of run {trained.run} have shape {shape}, no image; use .npz")


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Named arrays as ``.npz``, in one step."""
    from ratelab.store.files import write_file

    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_file(path, buffer.getvalue())


def write_picture(path: Path, images: Floats, columns: int, dataset: Dataset) -> None:
    """(N, C, H, W) images in the data's units as one PNG grid, in one step."""
    from ratelab.evaluation.pictures import png, to_unit
    from ratelab.store.files import write_file

    write_file(path, png(to_unit(images, dataset), columns))


def check_count(count: int | None) -> None:
    """:class:`UserError` for fewer than one example."""
    if count is not None and count < 1:
        raise UserError(f"--count: {count} is too few; give at least 1")


def examples(dataset: Dataset, which: str, count: int | None = None) -> Floats:
    """The first ``count`` examples of a split (all by default), as a model sees them; grey training images are drawn once."""
    check_count(count)
    split: Split = getattr(dataset, which)
    if dataset.resampled and which == "train":
        from ratelab.data.binarise import drawn

        return drawn(split.x[:count], 255, 0).astype(np.float32)
    return split.x[:count].astype(np.float32) * np.float32(dataset.scale)


def read_examples(path: Path, dataset: Dataset) -> Floats:
    """A user's examples from an ``.npy`` file or an ``.npz`` with ``x`` (or one array), as the model of ``dataset`` sees them.

    Values are in the units of the data (bytes count as level / 255 where the data has 256 levels); a missing channel axis is
    added. Raises :class:`UserError` for a missing or damaged file, values outside the data's support, and another shape.
    """
    from ratelab.data.formats import load_numpy

    if not path.is_file():
        raise UserError(f"no file '{path}'; give an .npy or .npz file of examples")
    found = load_numpy(path)
    x = found.get("x") if "x" in found else next(iter(found.values())) if len(found) == 1 else None
    if x is None:
        raise UserError(f"{path}: several arrays ({', '.join(found)}) and none is called x; call the examples x")
    if x.ndim == len(dataset.event_shape) and dataset.event_shape[:1] == (1,):
        x = x[:, None]
    if tuple(x.shape[1:]) != dataset.event_shape:
        raise UserError(
            f"{path}: examples have shape {tuple(x.shape[1:])}, this model was trained on {dataset.event_shape}; reshape the array"
        )
    return _scaled(x, dataset, str(path))


def _scaled(x: NDArray[Any], dataset: Dataset, where: str) -> Floats:
    """Bytes as levels, floats of such data in [0, 1] as they are; everything checked against the data's support."""
    from ratelab.data.checks import checked_values

    fractions = dataset.support is Support.LEVELS and x.dtype.kind == "f"
    values = checked_values(x, Support.UNIT if fractions else dataset.support, where).astype(np.float32)
    return values / np.float32(255) if dataset.support is Support.LEVELS and not fractions else values

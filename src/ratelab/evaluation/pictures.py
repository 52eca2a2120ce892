"""Pictures of a trained model for its run folder: reconstructions and samples as PNG grids. Only image data has pictures."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ratelab.core.dataset import Dataset
from ratelab.core.model import Model
from ratelab.evaluation.latents import reconstructed_images, sampled_images

COLUMNS, ROWS = 12, 6
SMALLEST = 32  # pixels to which a small image's shorter side is enlarged, without smoothing


def grid(images: NDArray[np.floating], columns: int, gap: int = 2) -> NDArray[np.uint8]:
    """(N, C, H, W) values in [0, 1] tiled row by row into one (H', W', 3) picture with light gaps."""
    n, channels, height, width = images.shape
    rows = -(-n // columns)
    canvas = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 230, dtype=np.uint8)
    levels = (np.clip(images, 0.0, 1.0) * 255).round().astype(np.uint8).transpose(0, 2, 3, 1)
    levels = levels[..., :3] if channels >= 3 else np.repeat(levels[..., :1], 3, axis=-1)
    for i, tile in enumerate(levels):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        canvas[top : top + height, left : left + width] = tile
    return canvas


def png(images: NDArray[np.floating], columns: int) -> bytes:
    """A PNG of :func:`grid`, small images enlarged pixel by pixel so that they can be seen."""
    factor = max(1, -(-SMALLEST // min(images.shape[2:])))
    big = images.repeat(factor, axis=2).repeat(factor, axis=3)
    out = io.BytesIO()
    Image.fromarray(grid(big, columns)).save(out, format="PNG", optimize=True)
    return out.getvalue()


def to_unit(images: NDArray[np.floating], dataset: Dataset) -> NDArray[np.floating]:
    """Values mapped to [0, 1] by the training split's range (binary and grey data already lie there)."""
    low = min(float(dataset.train.x.min()) * dataset.scale, 0.0)
    high = max(float(dataset.train.x.max()) * dataset.scale, low + 1e-12)
    return images if (low, high) == (0.0, 1.0) or dataset.resampled else (images - low) / (high - low)


def draw_pictures(model: Model, dataset: Dataset, seed: int) -> dict[str, bytes]:
    """``reconstructions`` (rows in pairs: test images above, decoder means below) and ``samples`` (decoder means), as PNG.

    A decoder that draws pixel after pixel is shown by draws instead of means.

    Empty for data that is no image, and for a model of labels or of another's codes.
    """
    if len(dataset.event_shape) != 3 or model.target != "x":
        return {}
    columns = min(COLUMNS, len(dataset.test))
    whole_rows = min(COLUMNS * ROWS // 2, len(dataset.test)) // columns * columns
    pick = np.linspace(0, len(dataset.test) - 1, whole_rows).astype(int)
    x = dataset.test.x[pick].astype(np.float32) * dataset.scale
    made = reconstructed_images(model, x, seed)
    pairs = [part[i : i + columns] for i in range(0, len(x), columns) for part in (x, made)]
    samples = sampled_images(model, COLUMNS * ROWS, seed)
    return {
        "reconstructions": png(to_unit(np.concatenate(pairs), dataset), columns),
        "samples": png(to_unit(samples, dataset), COLUMNS),
    }

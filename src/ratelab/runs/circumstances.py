"""What a run is made under and its result does not depend on: where the data lies, the device, how often to save."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

from ratelab.core.dataset import Dataset
from ratelab.core.errors import UserError
from ratelab.data import load
from ratelab.runs.recipe import Recipe, canonical


@dataclass(frozen=True)
class Circumstances:
    """``data_folder``: None for ``RATELAB_DATA``, else the user's cache. ``device``: ``auto``, ``cpu`` or ``cuda``.

    ``checkpoint_every``: seconds between checkpoints, which lie at the ends of epochs. ``allow_code``: whether a recipe may
    run code of its own.
    """

    data_folder: Path | None = None
    device: str = "cpu"
    checkpoint_every: float = 10.0
    allow_code: bool = False

    def torch_device(self) -> torch.device:
        """The device to use; :class:`UserError` where it does not exist here."""
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if self.device not in {"cpu", "cuda"}:
            raise UserError(f"no device '{self.device}'; use auto, cpu or cuda")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise UserError("no CUDA device is available here; use --device cpu")
        return torch.device(self.device)

    def dataset(self, recipe: Recipe) -> Dataset:
        """The recipe's data, read once per process for all runs that share it."""
        return _read(canonical(recipe.data), self.data_folder)


@lru_cache(maxsize=2)
def _read(node: str, folder: Path | None) -> Dataset:
    return load(json.loads(node), folder)

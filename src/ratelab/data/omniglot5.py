"""Omniglot-5: five characters of an alphabet that training never saw, few labels (Crescimanna & Graham 2019, sec. V-B).

An Omniglot character has only 20 drawings, so 400 images need each drawing in its four right-angle rotations. The split goes
by drawing: all rotations of a drawing are on the same side.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError, nearest
from ratelab.data.binarise import binarised
from ratelab.data.checks import checked_values
from ratelab.data.formats import read_npz
from ratelab.data.omniglot import omniglot_28_file
from ratelab.data.source import Seed, Source

_CHARACTERS, _TRAIN_DRAWINGS = 5, 15


@dataclass(frozen=True, kw_only=True)
class Omniglot5(Source):
    """Five characters of an unseen Omniglot alphabet in four rotations, 300 training and 100 test images.

    Per character 15 drawings (60 images) train and 5 (20 images) test. Validation is made in the same way from the *next*
    five characters' test drawings, without labels: choices need no image of the 400. ``alphabet``: one of the evaluation set.
    """

    alphabet: str = "Angelic"
    binarise: Literal["threshold", "none"] = "threshold"
    seed: Seed = 0
    rotations: Annotated[int, Field(ge=1, le=4)] = 4

    def read(self, root: Path) -> Dataset:
        path = omniglot_28_file(root)
        found = read_npz(path, ["test_images", "test_alphabet", "test_character", "test_drawer", "alphabet_names"])
        drawings = _drawings(path, found, self.alphabet)
        first, second = drawings[:_CHARACTERS], drawings[_CHARACTERS : 2 * _CHARACTERS]
        order = np.random.RandomState(self.seed).permutation(drawings.shape[1])
        seen, unseen = order[:_TRAIN_DRAWINGS], order[_TRAIN_DRAWINGS:]
        train, test = self._turned(first[:, seen]), self._turned(first[:, unseen])
        validation = Split(self._turned(second[:, unseen]).x)
        note = f"alphabet {self.alphabet}; validation: five other characters, unlabelled"
        return binarised(Dataset("omniglot-5", Support.LEVELS, train, validation, test, note=note), self.binarise)

    def _turned(self, drawings: NDArray[Any]) -> Split:
        """(5, D, 28, 28) drawings as (5 * D * rotations) images; the rotations of a drawing follow each other."""
        turns = np.stack([np.rot90(drawings, k, axes=(2, 3)) for k in range(self.rotations)], axis=2)
        labels = np.arange(len(drawings)).repeat(turns[0].shape[0] * turns[0].shape[1])
        return Split(turns.reshape(-1, 1, 28, 28), labels.astype(np.int64))


def _drawings(path: Path, found: dict[str, NDArray[Any]], alphabet: str) -> NDArray[Any]:
    """The alphabet's drawings (characters, drawers, 28, 28), characters in the order of their numbers."""
    names = [str(name) for name in found["alphabet_names"]]
    known = [names[i] for i in np.unique(found["test_alphabet"])]
    if alphabet not in known:
        raise UserError(f"data 'omniglot-5': no alphabet '{alphabet}' in the evaluation set{nearest(alphabet, known)}")
    mine = found["test_alphabet"] == names.index(alphabet)
    order = np.lexsort((found["test_drawer"][mine], found["test_character"][mine]))
    characters = len(np.unique(found["test_character"][mine]))
    images = checked_values(found["test_images"][mine][order], Support.LEVELS, f"data 'omniglot-5' ({path})")
    if len(images) % characters or characters < 2 * _CHARACTERS or len(images) // characters <= _TRAIN_DRAWINGS:
        raise UserError(
            f"{path}: alphabet '{alphabet}' has {characters} characters and {len(images)} drawings; expected 20 each"
        )
    return images.reshape(characters, -1, 28, 28)

"""MNIST and its relatives with the same files: grey, rounded, dynamically binarised, drawn once (LeCun et al. 1998)."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.data.binarise import binarised
from ratelab.data.checks import checked_labels, checked_split
from ratelab.data.files import need
from ratelab.data.formats import read_idx
from ratelab.data.source import Count, Seed, Source, hold_out

_FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


@dataclass(frozen=True, kw_only=True)
class Mnist(Source):
    """MNIST, 28x28 handwritten digits in 256 grey levels, 60 000 + 10 000.

    The last ``validation`` training images are held out for choices. ``binarise``: ``round`` is x = round(grey/255) (Xiao and
    Bamler 2023), ``dynamic`` draws the training images anew at every access and the others once.
    """

    binarise: Literal["none", "round", "dynamic"] = "none"
    validation: Count = 10_000

    def read(self, root: Path) -> Dataset:
        return binarised(read_grey("mnist", root, self.validation), "threshold" if self.binarise == "round" else self.binarise)


@dataclass(frozen=True, kw_only=True)
class FashionMnist(Source):
    """Fashion-MNIST, 28x28 pictures of clothes in 256 grey levels, 60 000 + 10 000 (Xiao et al. 2017)."""

    binarise: Literal["none", "round", "dynamic"] = "none"
    validation: Count = 10_000

    def read(self, root: Path) -> Dataset:
        grey = read_grey("fashion-mnist", root, self.validation, _FASHION)
        return binarised(grey, "threshold" if self.binarise == "round" else self.binarise)


@dataclass(frozen=True, kw_only=True)
class ResampledMnist(Source):
    """MNIST binarised once by our own draw: stands in for static-mnist, comparable to 1 nat only."""

    seed: Seed = 0
    validation: Count = 10_000

    def read(self, root: Path) -> Dataset:
        grey = read_grey("mnist", root, self.validation)
        return binarised(replace(grey, name="static-mnist-resampled"), "once", self.seed)


def read_grey(name: str, root: Path, validation: int, labels: tuple[str, ...] = tuple("0123456789")) -> Dataset:
    """The grey images of an MNIST-like data set, the last ``validation`` training images held out."""
    train, rest = hold_out(name, _split(name, root, "train"), validation)
    return Dataset(name, Support.LEVELS, train, rest, _split(name, root, "t10k"), label_names=labels)


def _split(name: str, root: Path, which: str) -> Split:
    path = need(root, name, f"{which}-images-idx3-ubyte")
    images = read_idx(path, 3)
    if images.shape[1:] != (28, 28):
        raise UserError(f"{path}: images of {images.shape[1]}x{images.shape[2]} pixels, {name} has 28x28")
    labels = read_idx(need(root, name, f"{which}-labels-idx1-ubyte"), 1)
    where = f"data '{name}' ({path})"
    return checked_split(images[:, None], checked_labels(labels, where, classes=10), Support.LEVELS, where)

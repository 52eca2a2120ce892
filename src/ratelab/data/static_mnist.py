"""Statically binarised MNIST, the fixed draw that published likelihoods refer to (Larochelle & Murray 2011)."""

from dataclasses import dataclass
from pathlib import Path

from ratelab.core.dataset import Dataset, Split, Support
from ratelab.data.checks import checked_labels, checked_split
from ratelab.data.files import find, need
from ratelab.data.formats import read_amat, read_npz
from ratelab.data.source import Source


@dataclass(frozen=True, kw_only=True)
class StaticMnist(Source):
    """Statically binarised MNIST, 28x28 pixels of 0 or 1, 50 000 / 10 000 / 10 000.

    The official files hold no labels. Where a ``recovered_labels.npz`` (arrays ``train_labels``, ``valid_labels``,
    ``test_labels``, found by matching the images with MNIST's) lies beside them, its labels are used. The test images
    may be sorted by class: shuffle before looking at a part of them.
    """

    def read(self, root: Path) -> Dataset:
        labels = find(root / "static-mnist", "recovered_labels.npz")
        train, validation, test = (_split(root, which, labels) for which in ("train", "valid", "test"))
        names = () if labels is None else tuple("0123456789")
        note = "" if labels is None else "labels recovered by matching with MNIST"
        return Dataset("static-mnist", Support.BINARY, train, validation, test, label_names=names, note=note)


def _split(root: Path, which: str, labels: Path | None) -> Split:
    path = need(root, "static-mnist", f"binarized_mnist_{which}.amat")
    key = f"{which}_labels"
    where = f"data 'static-mnist' ({path})"
    y = None if labels is None else checked_labels(read_npz(labels, [key])[key], where, classes=10)
    return checked_split(read_amat(path, 784).reshape(-1, 1, 28, 28), y, Support.BINARY, where)

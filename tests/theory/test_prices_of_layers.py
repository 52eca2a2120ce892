"""The experiments of Xiao and Bamler 2023 in small: whatever the data and the inference, each layer's rate falls as its own price rises.

Images in the official files' formats, few and simple (a bright box on a dim slope), and the paper's own networks trained briefly.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data_files import cifar_records, write_idx
from numpy.typing import NDArray
from scipy.io import savemat

from ratelab.core.estimate import Estimate
from ratelab.runs import Circumstances, execute, expand, read_recipe
from ratelab.store import Store

TRAIN, HELD_OUT, TEST = 300, 25, 100
BRIEFLY = (
    "training.epochs=20", "training.batch_size=25", "training.validate_every=20", "optimiser.lr=1e-3",
    "evaluation.estimators=[rate-distortion]", f"data.validation={HELD_OUT}",
)  # fmt: skip
PRICES = (0.1, 1.0, 10.0)
Bytes = NDArray[np.uint8]


def boxes(n: int, channels: int, side: int) -> Bytes:
    """(n, channels, side, side): a box of random place, size and colour on a slope."""
    draw = np.random.default_rng(n)
    rows, columns = np.mgrid[0:side, 0:side]
    images = np.zeros((n, channels, side, side))
    for image in images:
        image += 60 * draw.random((channels, 1, 1)) * (rows if draw.random() < 0.5 else columns) / side
        (top, left), (tall, wide) = draw.integers(2, side // 2, 2), draw.integers(side // 4, side // 2, 2)
        image[:, top : top + tall, left : left + wide] += 120 + 70 * draw.random((channels, 1, 1))
    return images.astype(np.uint8)


def labels(n: int) -> Bytes:
    return (np.arange(n) % 10).astype(np.uint8)


def write_svhn(root: Path) -> None:
    (root / "svhn").mkdir()
    for which, n in (("train", TRAIN + HELD_OUT), ("test", TEST)):
        y = labels(n)[:, None]
        pixels = boxes(n, 3, 32).transpose(2, 3, 1, 0)
        savemat(root / "svhn" / f"{which}_32x32.mat", {"X": pixels, "y": np.where(y == 0, 10, y)}, do_compression=True)


def write_cifar(root: Path) -> None:
    (root / "cifar-10").mkdir()
    parts = np.array_split(boxes(TRAIN + HELD_OUT, 3, 32), 5)
    for i, part in enumerate(parts):
        (root / "cifar-10" / f"data_batch_{i + 1}.bin").write_bytes(cifar_records(part, labels(len(part))))
    (root / "cifar-10" / "test_batch.bin").write_bytes(cifar_records(boxes(TEST, 3, 32), labels(TEST)))


def write_mnist(root: Path) -> None:
    for which, n in (("train", TRAIN + HELD_OUT), ("t10k", TEST)):
        write_idx(root / "mnist" / f"{which}-images-idx3-ubyte.gz", boxes(n, 1, 28)[:, 0])
        write_idx(root / "mnist" / f"{which}-labels-idx1-ubyte.gz", labels(n))


def layer_rates(recipe: str, store: Path, prices: tuple[float, float], changes: tuple[str, ...]) -> list[float]:
    """Test rates, top layer first, of one run."""
    (run,) = expand(read_recipe(recipe), [*BRIEFLY, *changes, f"objective.beta=[{prices[0]}, {prices[1]}]"])
    results = execute(run, Store.create(store), Circumstances())
    assert results["status"] == "done"
    return [Estimate.from_json(rate).value for rate in results["estimates"]["rates"]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "write", "changes"),
    [
        pytest.param("xiao2023/svhn", write_svhn, (), marks=pytest.mark.spec("HV44")),
        pytest.param("xiao2023/cifar-10", write_cifar, (), marks=pytest.mark.spec("HV45")),
        pytest.param("xiao2023/mnist", write_mnist, (), marks=pytest.mark.spec("HV46")),
        pytest.param("xiao2023/lvae-svhn", write_svhn, ("objective.annealing=4",), marks=pytest.mark.spec("HV47")),
    ],
)
def test_the_rate_of_a_layer_falls_in_its_own_price(
    recipe: str, write: Callable[[Path], None], changes: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    monkeypatch.setenv("RATELAB_DATA", str(tmp_path))
    for layer in (0, 1):
        prices = [(price, 1.0) if layer == 0 else (1.0, price) for price in PRICES]
        found = [layer_rates(recipe, tmp_path / "runs", pair, changes)[layer] for pair in prices]
        assert found[0] > found[1] > found[2] > -0.05, f"layer {2 - layer}: {found} at prices {PRICES}"

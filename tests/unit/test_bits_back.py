"""Real bits: exact on the way back, as many as the negative ELBO says, and clear about files that do not fit."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from toys import build

pytest.importorskip("constriction")

from ratelab.cli import main
from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.evaluation import bits_back
from ratelab.evaluation.bits_back import Codec, Stack
from ratelab.evaluation.bits_file import Compressed
from ratelab.models import MODELS

SMALL = {"name": "mlp", "hidden": [16]}


def model_of(decoder: str, marginal: str = "normal", seed: int = 0) -> tuple[Model, np.ndarray, Dataset]:
    """A VAE whose latents carry something, 300 examples of its own as levels, and the data set they make."""
    rng = np.random.default_rng(seed)
    binary = decoder == "bernoulli"
    x = rng.integers(0, 2 if binary else 256, (300, 1, 6, 6)).astype(np.uint8)
    dataset = Dataset("d", Support.BINARY if binary else Support.LEVELS, Split(x), Split(x), Split(x))
    node = {
        "name": "vae", "latent_dim": 4, "encoder": {"name": "gaussian", "network": SMALL},
        "decoder": {"name": decoder, "network": SMALL}, "marginal": marginal,
    }  # fmt: skip
    torch.manual_seed(seed)
    model = MODELS.build(MODELS.resolve(node, "m"), dataset)
    with torch.no_grad():
        for parameter in model.decoder.parameters() if binary else ():  # levels far out in a tail fall below 2^-20
            parameter.mul_(3)
        model.encoder.head.out.bias[4:] -= 1.5
        for parameter in model.marginal.parameters():
            parameter.add_(0.3)
        drawn = model.generate(300, LiveNoise(seed)).target
    levels = (drawn * (1 if binary else 255)).round().byte().numpy()
    return model, levels, Dataset("d", dataset.support, Split(levels), Split(levels), Split(levels))


@pytest.mark.parametrize(
    ("decoder", "marginal"),
    [("bernoulli", "normal"), ("bernoulli", "diagonal"), ("discretised-logistic", "normal"), ("categorical", "normal")],
)
def test_what_comes_back_is_what_went_in_and_the_bits_are_the_negative_elbo(decoder: str, marginal: str) -> None:
    model, levels, dataset = model_of(decoder, marginal)
    codec = Codec(model)
    stack = codec.compress(levels)
    assert np.array_equal(Codec(model).decompress(stack), levels)
    with torch.no_grad():
        seen = model(Batch(torch.as_tensor(levels) * torch.tensor(dataset.scale)), LiveNoise(1), 50)
        bits = (seen.rate + seen.distortion).double() / math.log(2)
    error = float(bits.var(0).mean() * (1 + 1 / 50) / 300) ** 0.5  # the same examples: only codes differ
    assert abs(stack.bits / 300 - float(bits.mean())) < 0.002 * float(bits.mean()) + 4 * error


@pytest.mark.parametrize("decoder", ["bernoulli", "categorical"])
def test_each_code_is_a_fair_draw_and_costs_its_own_negative_elbo(decoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although bits of one code were put there by the code before, and although every point of a range has some mass."""
    model, levels, dataset = model_of(decoder, "diagonal")
    codec, codes, pixels = Codec(model), [], Codec._pixels
    monkeypatch.setattr(Codec, "_pixels", lambda self, z: (codes.append(z), pixels(self, z))[1])
    stack = codec.compress(levels)
    z, x = torch.as_tensor((np.stack(codes) + 0.5) / bits_back.PER_UNIT), torch.as_tensor(levels).double() * dataset.scale
    with torch.no_grad():
        law = codec.model.encode(x)
        price = law.log_prob(z) - codec.model.prior().log_prob(z) - codec.model.likelihood(z).log_prob(x)
    assert abs(stack.bits - float(price.sum()) / math.log(2)) < 64 + 0.001 * stack.bits
    standard = (z - law.loc) / law.scale
    assert float(standard.mean(0).abs().max()) < 4 / 300**0.5
    assert float((standard.var(0) - 1).abs().max()) < 4 * (2 / 300) ** 0.5


def test_the_bits_that_the_first_example_borrows_come_back() -> None:
    model, levels, _ = model_of("bernoulli")
    one, two = (Codec(model).compress(levels[:n]) for n in (1, 2))
    assert one.lent == two.lent == bits_back.LEAST_WORDS + 4
    assert np.array_equal(Codec(model).decompress(one), levels[:1])
    assert len(two.words) > len(one.words) >= one.lent - 4


def test_another_order_of_summation_decodes_the_same() -> None:
    """Weights off by a rounding error of float64, as another machine's sums would be, change nothing that is coded."""
    model, levels, _ = model_of("bernoulli")
    stack = Codec(model).compress(levels[:100])
    other = Codec(model)
    with torch.no_grad():
        for parameter in other.model.parameters():
            parameter.mul_(1 + 2e-16)
    assert np.array_equal(other.decompress(stack), levels[:100])


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("hierarchy of two", "plain 'vae' of one layer"),
        ("vae, full covariance", "encoder 'gaussian'"),
        ("vae, mixture marginal", "marginal 'normal' or 'diagonal'"),
        ("vae, standardised gaussian", "discrete data"),
        ("vae, pixelcnn++", "factorises"),
    ],
)
def test_models_that_cannot_be_coded_say_why(case: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        Codec(build(case)[0])


def a_file() -> bytes:
    stack = Stack(np.arange(1, 40, dtype=np.uint32), 3, 8)
    return Compressed("0123456789ab", "w", "d", (1, 2, 2), 2, stack).to_bytes()


def test_a_file_describes_itself() -> None:
    found = Compressed.from_bytes(a_file(), "f")
    assert (found.run, found.shape, found.stack.count, found.stack.lent) == ("0123456789ab", (1, 2, 2), 3, 8)
    assert np.array_equal(found.stack.words, np.arange(1, 40))


@pytest.mark.parametrize("place", range(0, len(a_file()), 7))
def test_any_altered_byte_is_found(place: int) -> None:
    blob = bytearray(a_file())
    blob[place] ^= 1
    with pytest.raises(UserError, match=r"altered|no file of compressed"):
        Compressed.from_bytes(bytes(blob), "f")


@pytest.mark.parametrize("length", [0, 5, 8, 11, 60, len(a_file()) - 1])
def test_any_truncated_file_is_found(length: int) -> None:
    with pytest.raises(UserError, match=r"truncated|no file of compressed"):
        Compressed.from_bytes(a_file()[:length], "f")


RECIPE = """
data: {name: digits}
model:
  name: vae
  latent_dim: 4
  encoder: {name: gaussian, network: {name: mlp, hidden: [64]}}
  decoder: {name: bernoulli, network: {name: mlp, hidden: [64]}}
training: {epochs: 40, batch_size: 50}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe and a store of two trained runs."""
    folder = tmp_path_factory.mktemp("bits")
    (folder / "r.yaml").write_text(RECIPE)
    for epochs in (40, 1):
        assert main(["train", str(folder / "r.yaml"), f"training.epochs={epochs}", "--store", str(folder / "runs")]) == 0
    return folder


@pytest.mark.spec("N09")
def test_a_trained_run_compresses_to_within_two_per_cent_of_its_negative_elbo(
    place: Path, capsys: pytest.CaptureFixture
) -> None:
    import json

    epochs = {json.loads(path.read_text())["training"]["epochs"]: path.parent.name for path in place.glob("runs/*/recipe.json")}
    first, second = epochs[40], epochs[1]
    store, bits, back = ["--store", str(place / "runs")], str(place / "i.bits"), str(place / "i.npy")
    capsys.readouterr()
    assert main(["compress", first, "-o", bits, "--json", *store]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["bits_per_example"] == pytest.approx(found["nominal_bits_per_example"], rel=0.02)
    assert found["bytes"] == (place / "i.bits").stat().st_size
    total = 8 * found["bytes"]
    assert total == pytest.approx(found["n"] * found["bits_per_example"] + found["first_example_overhead_bits"], abs=8 * 500)
    assert main(["decompress", first, bits, "-o", back, *store]) == 0
    capsys.readouterr()
    assert main(["compress", first, back, "-n", "20", "-o", str(place / "few.bits"), "--json", *store]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 20
    assert main(["decompress", first, str(place / "few.bits"), "-o", str(place / "few.npy"), *store]) == 0
    assert np.array_equal(np.load(place / "few.npy"), np.load(back)[:20])
    capsys.readouterr()
    assert main(["decompress", second, bits, "-o", back, *store]) == 2
    assert f"compressed with run {first}" in capsys.readouterr().err
    (place / "cut.bits").write_bytes(Path(bits).read_bytes()[:-100])
    assert main(["decompress", first, str(place / "cut.bits"), "-o", back, *store]) == 2
    assert "truncated or altered" in capsys.readouterr().err


def test_real_bits_stand_in_the_report_beside_the_nominal_ones_of_the_same_examples(
    place: Path, capsys: pytest.CaptureFixture
) -> None:
    import json

    folder = next(
        path.parent for path in place.glob("runs/*/recipe.json") if json.loads(path.read_text())["training"]["epochs"] == 40
    )
    store, out = ["--store", str(place / "runs")], str(place / "few.bits")
    own = str(place / "own.npy")
    np.save(own, np.zeros((3, 1, 8, 8), np.uint8))
    before = json.loads((folder / "results.json").read_text())
    before.pop("bits", None)
    (folder / "results.json").write_text(json.dumps(before))
    assert main(["compress", folder.name, own, "-o", out, *store]) == 0
    assert json.loads((folder / "results.json").read_text()) == before, "other examples say nothing of the run's"
    assert main(["compress", folder.name, own, "-n", "4", "-o", out, *store]) == 2
    assert "--count: there are 3 examples; give no more" in capsys.readouterr().err
    assert main(["compress", folder.name, "-n", "30", "-o", out, *store]) == 0
    told = capsys.readouterr().out
    noted = json.loads((folder / "results.json").read_text())
    bits = noted.pop("bits")
    assert noted == before
    with np.load(folder / "per_example.npz") as arrays:
        nominal = arrays["neg_elbo"][:30].mean() / np.log(2)
    assert bits["n"] == 30
    assert bits["nominal_bits_per_example"] == pytest.approx(nominal)
    assert bits["bytes"] == (place / "few.bits").stat().st_size
    assert f"D + R of the same examples: {nominal:.1f} bits" in " ".join(told.split())
    assert main(["report", str(place / "runs"), "-o", str(place / "r.html")]) == 0
    page = " ".join((place / "r.html").read_text().split())
    real = bits["bits_per_example"]
    assert f"Real bits: {real:.1f} an example, over 30 test examples" in page
    assert f"nominal (D + R of the same examples): {nominal:.1f}, {100 * (real / nominal - 1):+.1f} %".replace("-", "−") in page
    assert page.count("Real bits: ") == 1, "the other run was not compressed"

"""Every mistake a user can make is one line on standard error, exit code 2, and nothing on standard output."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from command_lines import Cli, finish, spawn

PARSED = {
    "trian": "unknown command 'trian'; did you mean 'train'?",
    "data lst": "unknown command 'lst'; did you mean 'list'?",
    "--store x train": "unknown option '--store' in this place; options come behind a command",
    "sweep tiny.yaml --wrkers 2": "unknown option '--wrkers'; did you mean '--workers'?",
    "train tiny.yaml --sotre=x": "unknown option '--sotre'; did you mean '--store'?",
    "train": "RECIPE is missing; see 'ratelab train --help'",
    "evaluate": "RUN is missing",
    "evaluate --pythae nowhere": "--pythae goes with --data and without a run",
    "evaluate --data digits": "--pythae goes with --data and without a run",
    "evaluate --pythae nowhere --data digits": "nowhere: no saved model of pythae",
    "evaluate --pythae nowhere --data digits --estimators all": "'all' is for runs",
    "data fetch": "NAME is missing",
    "train tiny.yaml --store": "--store needs a value",
    "sweep tiny.yaml --workers two": "--workers: 'two' is not a whole number",
    "train tiny.yaml --device gpu": "--device: 'gpu' is none of auto, cpu, cuda",
    "cite a b": "'b' is one argument too many",
    "frontier a b": "'b' is one argument too many",
}
RECIPES = {
    "train digits/vea": "no recipe 'digits/vea': neither a file nor a shipped one; did you mean 'digits/vae'?",
    "train nothing.yaml": "no recipe file 'nothing.yaml'",
    "train tiny.yaml objective.betta=1": "objective.betta: unknown key 'betta'; did you mean 'beta'?",
    "train tiny.yaml objektive.beta=1": "unknown key 'objektive'; did you mean 'objective'?",
    "train tiny.yaml objective=betas": "objective: unknown objective 'betas'; did you mean 'beta'?",
    "train tiny.yaml objective.beta=-1": "objective.beta: must be greater than or equal to 0; got -1",
    "train tiny.yaml objective.beta=strong": "objective.beta: expected a number; got 'strong'",
    "train tiny.yaml training.epochs=2.5": "training.epochs: expected a whole number",
    "train tiny.yaml model.latent_dim=[2,x]": "model.latent_dim.1: expected a whole number; got 'x'",
    "train tiny.yaml epochs": "'epochs': expected key=value, e.g. objective.beta=0.5",
    "train tiny.yaml data.binarise=none": "model.decoder: 'bernoulli' scores binary data, but 'digits' is unit; use 'gaussian'",
    "train tiny.yaml seed=0,1": "describes 2 runs; use 'ratelab sweep'",
    "train tiny.yaml data.name=array data.path=no.npy": "/no.npy'; give an .npy or .npz file",
    "sweep tiny.yaml objective.beta=": "'objective.beta=': no value after '='; give one, or null for none",
    "sweep tiny.yaml objective.beta=1,,2": "'objective.beta=1,,2': empty value between commas",
    "train tiny.yaml model.latent_dim=[2,100000000000]": "model: it is larger than the memory here; make its layers",
    "train tiny.yaml model.latent_dim=[2,99999999999999999999]": "model: it is larger than the memory here; make its layers",
    "train tiny.yaml model.encoder.network.hidden=[99999999999999999999]": "model: it is larger than the memory here",
    "train tiny.yaml model.latent_dim=[2,1000000000000000000]": "model: it is larger than the memory here; make its layers",
    "train tiny.yaml training.early_stopping=5": "training.early_stopping: expected keys and values, e.g. {patience: 50}; got 5",
    "train tiny.yaml model.encoder.network.hidden=5": "model.encoder.network.hidden: expected a list, e.g. [5]; got 5",
    "sweep tiny.yaml objective.beta=log:0:1:3": "log: needs positive ends",
    "sweep tiny.yaml seed=0,1 --workers 0": "workers: 0 is too few",
    "sweep": "RECIPE is missing; see 'ratelab sweep --help'",
    "sweep tiny.yaml model.latent_dim=[2,9] objective.beta=[1,2,3] seed=0,1": "objective.beta: 3 weights for a model of 2 layer",
    "sweep tiny.yaml --engine rya": "unknown engine 'rya'; did you mean 'ray'?",
    "sweep tiny.yaml --engine ray --engine-option adress=x": "engine ray.adress: unknown key 'adress'; did you mean 'address'?",
    "sweep tiny.yaml --engine ray --engine-option gpus": "engine option 'gpus': expected KEY=VALUE, e.g. gpus=0.25",
    "sweep tiny.yaml --engine ray --engine-option address=127.0.0.1:1": "no Ray cluster answers at 127.0.0.1:1",
}
STORES = {
    "frontier": "no store at runs: it does not exist",
    "report": "no store at runs: it does not exist",
    "sweep --status": "no store at runs: it does not exist",
    "cite abc": "no store at runs: it does not exist",
    "sample tiny.yaml/x": "'tiny.yaml/x' is no run folder",
    "list objectivs": "nothing of kind 'objectivs' to list; did you mean 'objectives'?",
    "data fetch minst": "unknown data set 'minst'; did you mean 'mnist'?",
    "data verify mnist": "data 'mnist': 4 of 4 files are not right: train-images-idx3-ubyte.gz (missing)",
    "data verify digits": "data 'digits' has no official files to verify",
}
TRAINED = {
    "cite zzzz": "no run 'zzzz' in runs",
    "sample RUN -n 0": "the number of samples must be at least 1; got 0",
    "sample RUN -o picture.jpg": "cannot write 'picture.jpg': its ending must be .npz or .png",
    "sample RUN -o nowhere/samples.png": "there is no folder 'nowhere'; make it first",
    "sample RUN --seed x": "--seed: 'x' is not a whole number",
    "encode RUN -o latents.png": "cannot write 'latents.png': its ending must be .npz",
    "encode RUN missing.npy": "no file 'missing.npy'; give an .npy or .npz file of examples",
    "encode RUN wide.npy": "examples have shape (1, 9, 9), this model was trained on (1, 8, 8)",
    "encode RUN grey.npy": "declare another support",
    "encode RUN tiny.yaml": "is neither an .npy nor an .npz file",
    "compress RUN": "real bits are for a plain 'vae' of one layer and one beta; this model is another",
    "compress RUN tiny.yaml -o tiny.yaml": "it holds the examples to compress; choose another name",
    "compress RUN -o nowhere/images.bits": "there is no folder 'nowhere'; make it first",
    "decompress RUN nothing.bits": "no file 'nothing.bits'; give one that 'ratelab compress' wrote",
    "decompress RUN tiny.yaml": "no file of compressed examples",
    "decompress RUN tiny.yaml -o images.png": "its ending must be .npy",
    "reconstruct RUN -n 0": "--count: 0 is too few",
    "reconstruct RUN --draws 0": "--draws: 0 is too few",
    "interpolate RUN --pairs 0": "--pairs: 0; the test split has examples for 1 to 125 pairs",
    "interpolate RUN --steps 1": "an interpolation needs at least 2 steps; got 1",
    "interpolate RUN --path round": "--path: 'round' is none of linear, spherical",
    "evaluate RUN --estimators iwea": "--estimators: unknown estimator 'iwea'; did you mean 'iwae'?",
    "evaluate RUN --estimators {name:iwae": "--estimators",
    "evaluate RUN --estimators iwae,iwae": "'iwae' is listed twice",
    "evaluate RUN --estimators iwae,": "--estimators: a name is missing",
    "evaluate RUN --estimators []": "--estimators: a name is missing",
    "evaluate RUN --estimators all,iwae": "'all' stands alone",
    "report runs -o report.pdf": "cannot write 'report.pdf': its ending must be .html or .htm",
    "report runs -o nowhere/deep/report.html": "there is no folder 'nowhere/deep'; make it first",
    "frontier runs --data mnist": "holds no run on 'mnist'",
}


@pytest.mark.parametrize(("words", "said"), (PARSED | RECIPES | STORES).items())
def test_one_line_says_what_is_wrong(cli: Cli, words: str, said: str) -> None:
    assert said in cli(*words.split()).line()


@pytest.mark.parametrize(("words", "said"), TRAINED.items())
def test_one_line_about_trained_runs(cli: Cli, run_id: str, place: Path, words: str, said: str) -> None:
    np.save(place / "wide.npy", np.zeros((2, 9, 9), np.uint8))
    np.save(place / "grey.npy", np.full((2, 8, 8), 0.5))
    assert said in cli(*words.replace("RUN", run_id).split()).line()


@pytest.mark.parametrize("words", ["trian", "train digits/vea", "frontier", "train tiny.yaml objective.beta=-1"])
def test_with_json_too_standard_output_stays_empty(cli: Cli, words: str) -> None:
    assert cli(*words.split(), "--json").line()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there(cli: Cli) -> None:
    assert cli("train", "tiny.yaml", "--device", "cuda").line() == "no CUDA device is available here; use --device cpu"


def test_a_folder_that_is_no_store(cli: Cli, place: Path) -> None:
    assert "holds other files and no store" in cli("train", "tiny.yaml", "--store", place).line()
    (place / "file").write_text("")
    assert "file" in cli("train", "tiny.yaml", "--store", place / "file").line()


def test_an_output_that_cannot_be_written(cli: Cli, run_id: str, place: Path) -> None:
    (place / "folder.png").mkdir()
    assert "a folder is in the way" in cli("sample", run_id, "-o", "folder.png").line()
    assert list((place / "folder.png").iterdir()) == []


@pytest.mark.parametrize("command", ["frontier runs", "report runs", "evaluate RUN", "train tiny.yaml"])
def test_a_corrupt_results_file_is_named(cli: Cli, store: Path, run_id: str, command: str) -> None:
    for folder in store.glob("*/results.json"):
        folder.write_text(folder.read_text()[:-40])
    assert "results.json" in cli(*command.replace("RUN", run_id).split()).line()


def test_corrupt_weights_are_named(cli: Cli, store: Path, run_id: str) -> None:
    weights = store / run_id / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    assert "model.safetensors" in cli("sample", run_id).line()


def test_code_in_a_recipe_runs_only_when_allowed(cli: Cli, place: Path) -> None:
    (place / "evil_network.py").write_text("raise SystemExit('this ran')")
    said = cli("train", "tiny.yaml", "model.encoder.network={name: custom, code: 'evil_network:Net'}").line()
    assert "runs code of its own (evil_network:Net)" in said
    assert "--allow-code" in said


BROKEN = {
    "class Net(torch.nn.Module): pass\nNet.__init__ = lambda self: 1 / 0": "Net() fails with ZeroDivisionError",
    "class Net(torch.nn.Module):\n  def __init__(self, width): super().__init__()": "Net() fails with TypeError",
    "class Net(torch.nn.Module) pass": "its module fails with SyntaxError",
    "1 / 0": "its module fails with ZeroDivisionError: division by zero",
    "raise SystemExit('this ran')": "its module fails with SystemExit: this ran",
    "Net = 5": "is no torch.nn.Module class",
    "Other = torch.nn.Identity": "write it as package.module:Class",
}


@pytest.mark.parametrize("code", BROKEN)
def test_code_that_fails_is_one_line(cli: Cli, place: Path, code: str, request: pytest.FixtureRequest) -> None:
    module = f"broken_net_{list(BROKEN).index(code)}"
    request.addfinalizer(lambda: sys.modules.pop(module, None))
    (place / f"{module}.py").write_text(f"import torch\n{code}\n")
    said = cli("train", "tiny.yaml", f"model.encoder.network={{name: custom, code: '{module}:Net'}}", "--allow-code").line()
    assert f"custom network '{module}:Net'" in said
    assert BROKEN[code] in said


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_full_disk_behind_standard_output(place: Path, form: list[str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with open("/dev/full", "w") as full:
        done = finish(spawn("data", "list", *form, stdout=full))
    assert done.code == 2
    assert done.err == "ratelab: cannot write to standard output or a file: no space left on device\n"

"""``ratelab encode``: the representation."""

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from ratelab.cli.options import DEFAULT_STORE, AllowCode, AsJson, Device, RunName, StoreDir, open_trained
from ratelab.cli.terminal import answer


def encode_command(
    run: RunName,
    array: Annotated[
        Path | None,
        Parameter(help="An .npy or .npz file of examples in the units of the data; left out: a split of the run's own data."),
    ] = None,
    /,
    *,
    split: Annotated[Literal["train", "validation", "test"], Parameter(help="Which split, when no file is given.")] = "test",
    seed: Annotated[int | None, Parameter(help="Draw z ~ e(z|x) with this seed; left out: the mode of every layer.")] = None,
    output: Annotated[Path, Parameter(name=["--output", "-o"], help="File to write, ending in .npz.")] = Path("latents.npz"),
    store: StoreDir = DEFAULT_STORE,
    device: Device = "auto",
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Write the latents of examples.

    For example:

      ratelab encode 3f2a --split train -o latents.npz

    The .npz holds one array per layer: "z1" is the layer next to the data, "z2"
    the one above it, and so on up to the top; each is (n, *shape of the layer). A
    model with one layer has "z1" alone. Labels of a split come along as "y".
    """
    from ratelab.cli.arrays import check_output, examples, read_examples, write_arrays
    from ratelab.core.dataset import Split
    from ratelab.evaluation.latents import encode

    check_output(output, ".npz")
    trained = open_trained(run, store, device, allow_code)
    dataset = trained.dataset
    chosen: Split = getattr(dataset, split)
    x = examples(dataset, split) if array is None else read_examples(array, dataset)
    layers = encode(trained.model, x, seed)
    arrays: dict[str, Any] = {f"z{len(layers) - i}": layer for i, layer in enumerate(layers)}
    if array is None and chosen.y is not None:
        arrays["y"] = chosen.y
    write_arrays(output, arrays)
    shapes = {name: list(values.shape) for name, values in arrays.items()}
    document = {"schema": 1, "run": trained.run, "output": str(output), "arrays": shapes}
    answer(document, as_json, lambda out: out.print(f"{output}: {', '.join(f'{k} {tuple(v)}' for k, v in shapes.items())}"))

"""``ratelab interpolate``: paths between examples."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from ratelab.cli.options import DEFAULT_STORE, AllowCode, AsJson, Device, Output, RunName, StoreDir, open_trained
from ratelab.cli.progress import drawing
from ratelab.cli.terminal import answer


def interpolate_command(
    run: RunName,
    /,
    *,
    pairs: Annotated[
        int, Parameter(help="How many pairs of test examples: the 1st with the 2nd, the 3rd with the 4th, ...")
    ] = 6,
    steps: Annotated[int, Parameter(help="Points on each path, both ends included.")] = 8,
    path: Annotated[
        Literal["linear", "spherical"], Parameter(help="Along the straight line, or along the great circle through both ends.")
    ] = "linear",
    output: Output = Path("interpolations.png"),
    store: StoreDir = DEFAULT_STORE,
    device: Device = "auto",
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Decode paths between pairs of examples.

    For example:

      ratelab interpolate 3f2a --pairs 6 --steps 8 --path spherical -o interpolations.png

    Both examples of a pair are encoded (the mode of every layer), and points
    between their latents are decoded to means. A .png shows one path per row; an
    .npz holds "path" (pairs, steps, *shape of an example) and the ends "first"
    and "second".
    """
    from ratelab.cli.arrays import check_output, check_picture, examples, write_arrays, write_picture
    from ratelab.core.errors import UserError
    from ratelab.evaluation.latents import interpolate

    check_output(output, ".npz", ".png")
    trained = open_trained(run, store, device, allow_code)
    check_picture(trained, output)
    dataset = trained.dataset
    if not 1 <= pairs <= len(dataset.test) // 2:
        raise UserError(f"--pairs: {pairs}; the test split has examples for 1 to {len(dataset.test) // 2} pairs")
    x = examples(dataset, "test", 2 * pairs)
    with drawing("interpolations"):
        frames = interpolate(trained.model, x[0::2], x[1::2], steps, path)
    if output.suffix == ".npz":
        write_arrays(output, {"path": frames, "first": x[0::2], "second": x[1::2]})
    else:
        write_picture(output, frames.reshape(-1, *dataset.event_shape), steps, dataset)
    document = {"schema": 1, "run": trained.run, "output": str(output), "pairs": pairs, "steps": steps, "path": path}
    answer(document, as_json, lambda out: out.print(str(output), soft_wrap=True))

"""``ratelab sample``: new examples."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ratelab.cli.options import DEFAULT_STORE, AllowCode, AsJson, Device, Output, RunName, Seed, StoreDir, open_trained
from ratelab.cli.progress import drawing
from ratelab.cli.terminal import answer

COLUMNS = 8


def sample_command(
    run: RunName,
    /,
    *,
    count: Annotated[int, Parameter(name=["-n", "--count"], help="How many samples.")] = 64,
    output: Output = Path("samples.png"),
    seed: Seed = 0,
    store: StoreDir = DEFAULT_STORE,
    device: Device = "auto",
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Draw samples from a trained model.

    For example:

      ratelab sample 3f2a -n 64 -o samples.png

    Latents are drawn from the marginal m(z) and decoded. A .png shows the
    decoder's means as a grid, or draws x ~ d(x|z) where the decoder draws pixel
    after pixel; an .npz holds "mean" (the decoder's means) and
    "sample" (one draw x ~ d(x|z) with the same latents), each (n, *shape of an
    example), in the units of the data.
    """
    from ratelab.cli.arrays import check_output, check_picture, write_arrays, write_picture
    from ratelab.evaluation.latents import sample, sampled_images

    check_output(output, ".npz", ".png")
    trained = open_trained(run, store, device, allow_code)
    check_picture(trained, output)
    with drawing("samples"):
        if output.suffix == ".npz":
            write_arrays(output, sample(trained.model, count, seed))
        else:
            write_picture(output, sampled_images(trained.model, count, seed), COLUMNS, trained.dataset)
    document = {"schema": 1, "run": trained.run, "output": str(output), "n": count, "seed": seed}
    answer(document, as_json, lambda out: out.print(str(output), soft_wrap=True))

"""``ratelab reconstruct``: what survives the latents."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ratelab.cli.options import DEFAULT_STORE, AllowCode, AsJson, Device, Output, RunName, Seed, StoreDir, open_trained
from ratelab.cli.progress import drawing
from ratelab.cli.terminal import answer

Images = Annotated[
    Path | None,
    Parameter(help="An .npy or .npz file of examples in the units of the data; left out: the first test examples."),
]
Count = Annotated[int, Parameter(name=["-n", "--count"], help="How many examples, from the first one on.")]
SHOWN, ABREAST = ("x", "sample", "average"), 4


def reconstruct_command(
    run: RunName,
    images: Images = None,
    /,
    *,
    count: Count = 16,
    draws: Annotated[int, Parameter(help="Draws of x per latent that 'average' averages.")] = 5,
    output: Output = Path("reconstructions.png"),
    seed: Seed = 0,
    store: StoreDir = DEFAULT_STORE,
    device: Device = "auto",
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Encode and decode examples with a trained model.

    For example:

      ratelab reconstruct 3f2a -n 16 -o reconstructions.png

    One latent z ~ e(z|x) is drawn per example and decoded several times. A .png
    shows four examples per row, each as three images side by side: the example, one
    draw x ~ d(x|z), and the average of several draws with the same z. An .npz holds
    "x", "mean" (the decoder's mean), "sample" (one draw) and "average", each
    (n, *shape of an example), in the units of the data.
    """
    import numpy as np

    from ratelab.cli.arrays import check_output, check_picture, examples, read_examples, write_arrays, write_picture
    from ratelab.core.errors import UserError
    from ratelab.evaluation.latents import reconstruct

    check_output(output, ".npz", ".png")
    if draws < 1:
        raise UserError(f"--draws: {draws} is too few; give at least 1")
    trained = open_trained(run, store, device, allow_code)
    check_picture(trained, output)
    dataset = trained.dataset
    x = examples(dataset, "test", count) if images is None else read_examples(images, dataset)[:count]
    with drawing("reconstructions"):
        made = {"x": x, **reconstruct(trained.model, x, seed, draws)}
    if output.suffix == ".npz":
        write_arrays(output, made)
    else:
        tiles = np.stack([made[name] for name in SHOWN], axis=1).reshape(-1, *dataset.event_shape)
        write_picture(output, tiles, len(SHOWN) * min(ABREAST, len(x)), dataset)
    document = {"schema": 1, "run": trained.run, "output": str(output), "n": len(x), "draws": draws, "seed": seed}
    answer(document, as_json, lambda out: out.print(str(output), soft_wrap=True))

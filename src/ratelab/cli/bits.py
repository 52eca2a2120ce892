"""``ratelab compress`` and ``ratelab decompress``: real bits."""

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ratelab.cli.options import DEFAULT_STORE, AllowCode, AsJson, RunName, StoreDir, find_run, open_trained
from ratelab.cli.progress import progress
from ratelab.cli.terminal import answer
from ratelab.core.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ratelab.store import RunFolder


def compress_command(
    run: RunName,
    images: Annotated[
        Path | None,
        Parameter(help="An .npy or .npz file of examples in the units of the data; left out: the run's test split."),
    ] = None,
    /,
    *,
    count: Annotated[int | None, Parameter(name=["--count", "-n"], help="Only the first so many examples.")] = None,
    output: Annotated[Path, Parameter(name=["--output", "-o"], help="File to write.")] = Path("images.bits"),
    store: StoreDir = DEFAULT_STORE,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Write examples losslessly, in about as many bits as the run's D + R.

    For example:

      ratelab compress 3f2a images.npy -o images.bits

    Bits-back coding with the run's model, which 'ratelab decompress' needs again:
    a plain 'vae' with Gaussian latents, of binary data or of 256 levels. The first
    example borrows bits that no other gives; they are stated apart.

    What the run's own test examples take is noted in its results, beside D + R of the
    same examples, and 'ratelab report' shows both.
    """
    from ratelab.cli.arrays import check_count, check_output, examples, read_examples
    from ratelab.evaluation.bits_back import Codec, one_thread
    from ratelab.evaluation.bits_file import Compressed, digest
    from ratelab.store.files import write_file

    check_output(output, output.suffix)
    if images is not None and output.exists() and images.exists() and output.samefile(images):
        raise UserError(f"cannot write '{output}': it holds the examples to compress; choose another name")
    trained = open_trained(run, store, "cpu", allow_code)
    codec = Codec(trained.model)
    x = examples(trained.dataset, "test") if images is None else read_examples(images, trained.dataset)
    check_count(count)
    if count is not None and count > len(x):
        raise UserError(f"--count: there are {len(x)} examples; give no more than that")
    levels = (x[:count] * (codec.levels - 1)).round().astype("uint8")
    if not len(levels):
        raise UserError(f"{images}: no examples; give at least 1")
    folder, started = find_run(run, store), time.perf_counter()
    with one_thread(), progress("compress", len(levels), "examples") as report:
        stack = codec.compress(levels, report)
    seconds = time.perf_counter() - started
    weights = digest(folder.weights())
    blob = Compressed(trained.run, weights, digest(levels.tobytes()), codec.shape, codec.levels, stack).to_bytes()
    write_file(output, blob)
    nominal = _nominal(folder, stack.count, own=images is None)
    document: dict[str, Any] = {
        "n": stack.count,
        "bytes": len(blob),
        "bits_per_example": stack.bits / stack.count,
        "nominal_bits_per_example": nominal,
        "first_example_overhead_bits": 32 * stack.lent,
    }
    if images is None:
        _note(folder, document)
    document |= {"schema": 1, "run": trained.run, "output": str(output), "examples_per_second": stack.count / seconds}

    def text(out: Any) -> None:
        real, stated = document["bits_per_example"], document["nominal_bits_per_example"]
        same = "the same examples" if images is None else "the run's test split"
        beside = "" if stated is None else f"; D + R of {same}: {stated:.1f} bits"
        out.print(
            f"{output}: {stack.count} examples, {len(blob)} bytes, {real:.1f} bits each{beside}"
            f" (and {32 * stack.lent} bits once, that the first example borrows)"
        )

    answer(document, as_json, text)


def _nominal(folder: "RunFolder", count: int, own: bool) -> float | None:
    """D + R in bits: of the first ``count`` test examples where these are coded (``own``), else of the whole test split."""
    results = folder.results() or {}
    stated = results.get("estimates", {}).get("neg_elbo", {}).get("value")
    if not isinstance(stated, float):
        return None
    values = folder.per_example().get("neg_elbo", ()) if own else ()
    return (float(values[:count].mean()) if len(values) >= count else stated) / math.log(2)  # type: ignore[union-attr]


def _note(folder: "RunFolder", document: dict[str, Any]) -> None:
    """Keep what the run's test examples take among its results, if it has any."""
    from ratelab.store import Busy

    try:
        with folder.locked():
            results = folder.results()
            if results is not None:
                folder.write_results({**results, "bits": document})
    except Busy:
        raise UserError(f"run {folder.id} is being worked on by another process; wait for it, or stop it first") from None


def decompress_command(
    run: RunName,
    file: Annotated[Path, Parameter(help="A file that 'ratelab compress' wrote with the same run.")],
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"], help="File to write, ending in .npy.")] = Path("images.npy"),
    store: StoreDir = DEFAULT_STORE,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Read examples back, exactly, from a compressed file.

    For example:

      ratelab decompress 3f2a images.bits -o images.npy

    The array holds bytes: 0 and 1, or the levels 0 to 255.
    """
    from ratelab.cli.arrays import check_output
    from ratelab.evaluation.bits_back import Codec, one_thread
    from ratelab.evaluation.bits_file import Compressed, digest

    check_output(output, ".npy")
    if not file.is_file():
        raise UserError(f"no file '{file}'; give one that 'ratelab compress' wrote")
    found = Compressed.from_bytes(file.read_bytes(), str(file))
    folder = find_run(run, store)
    if found.weights != digest(folder.weights()):
        raise UserError(f"{file}: compressed with run {found.run}, and run {folder.id} has other weights; give that run")
    codec = Codec(open_trained(run, store, "cpu", allow_code).model)
    with one_thread(), progress("decompress", found.stack.count, "examples") as report:
        levels = codec.decompress(found.stack, report)
    if digest(levels.tobytes()) != found.data:
        raise UserError(
            f"{file}: what was decoded is not what was compressed; this machine computes otherwise, use the first one"
        )
    _write(output, levels)
    document = {"schema": 1, "run": folder.id, "output": str(output), "n": len(levels), "shape": list(levels.shape)}
    answer(document, as_json, lambda out: out.print(f"{output}: {levels.shape}"))


def _write(path: Path, levels: "NDArray[np.uint8]") -> None:
    import io

    import numpy as np

    from ratelab.store.files import write_file

    buffer = io.BytesIO()
    np.save(buffer, levels, allow_pickle=False)
    write_file(path, buffer.getvalue())

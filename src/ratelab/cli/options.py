"""Options that several commands share, and how a run is named on the command line."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ratelab.cli.terminal import say
from ratelab.core.at import SIGN, parted
from ratelab.core.errors import UserError

if TYPE_CHECKING:
    from ratelab.runs import Circumstances, Trained
    from ratelab.store import RunFolder

DEFAULT_STORE = Path("runs")

AsJson = Annotated[
    bool,
    Parameter(name="--json", negative=(), help="Print one JSON document (schema 1) and nothing else on standard output."),
]
StoreDir = Annotated[Path, Parameter(name="--store", help="Folder that holds the runs.")]
Device = Annotated[
    Literal["auto", "cpu", "cuda"], Parameter(help="Where to compute; auto takes a CUDA GPU where there is one.")
]
AllowCode = Annotated[
    bool,
    Parameter(negative=(), help="Run the Python code that the recipe names ('custom' networks). Read that code first."),
]
Workers = Annotated[int | None, Parameter(help="Processes that train side by side, one thread each; by default one per core.")]
Together = Annotated[
    str, Parameter(help="Runs that one process trains as one: auto picks from network and machine, 1 trains each by itself.")
]
Seed = Annotated[int, Parameter(help="Seed of the random draws; the same seed gives the same file.")]
Output = Annotated[Path, Parameter(name=["--output", "-o"], help="File to write; its ending decides: .npz (arrays) or .png.")]
RunName = Annotated[
    str,
    Parameter(
        help="A run: its folder, or the start of its id (see 'ratelab frontier'); RUN@beta=0.5 where one model serves many betas."
    ),
]


def find_run(name: str, store: Path) -> "RunFolder":
    """The run a user means by a folder or by the start of an id; :class:`UserError` where there is none or several."""
    from ratelab.store import Store

    folder = Path(name)
    if (folder / "recipe.json").is_file():
        return Store(folder.resolve().parent).run(folder.resolve().name)
    if "/" in name or folder.is_dir():
        raise UserError(f"'{name}' is no run folder (it has no recipe.json); give a run's folder or the start of its id")
    return Store(store).find(name)


def circumstances(device: str, allow_code: bool) -> "Circumstances":
    """What a command runs under; :class:`UserError` where the device does not exist here."""
    from ratelab.runs import Circumstances

    found = Circumstances(device=device, allow_code=allow_code)
    found.torch_device()
    return found


def stack_size(together: str) -> "int | Literal['auto']":
    """What ``--together`` says; :class:`UserError` where it is neither ``auto`` nor a number from 1."""
    if together == "auto":
        return "auto"
    if together.isdecimal() and int(together) >= 1:
        return int(together)
    raise UserError(f"--together: '{together}' is no size of a stack; give auto, or a number from 1 (1: every run by itself)")


def open_trained(name: str, store: Path, device: str, allow_code: bool) -> "Trained":
    """The trained model that ``RUN`` or ``RUN@beta=0.5`` names, on its device."""
    run, betas = parted(name)
    folder, under = find_run(run, store), circumstances(device, allow_code)

    from ratelab.runs import open_run

    trained = open_run(folder, under, betas)
    conditioning = trained.model.conditioning
    if conditioning is not None and betas is None:
        say(
            f"run {folder.id} is one model for beta {conditioning.low:g} to {conditioning.high:g}, taken here at "
            f"{conditioning.betas[0]:g}; {folder.id}{SIGN}... takes another"
        )
    return trained

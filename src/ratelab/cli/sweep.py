"""``ratelab sweep``: all runs of a grid.

Exits with 0 when every run was made, diverged ones included (a run that diverges is a result), and with 1 when a run failed.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console

from ratelab.cli.options import DEFAULT_STORE, AllowCode, AsJson, Device, StoreDir, Together, Workers, circumstances, stack_size
from ratelab.cli.progress import finished_runs
from ratelab.cli.status import show_status
from ratelab.cli.terminal import answer, say, say_stopping
from ratelab.cli.train import RecipeName
from ratelab.cli.wording import labels, rate_and_distortion
from ratelab.core.errors import UserError

if TYPE_CHECKING:
    from ratelab.analysis.plane import Plane
    from ratelab.runs import Circumstances, Recipe
    from ratelab.store import Store

Results = dict[str, Any]
EngineName = Annotated[
    str,
    Parameter(
        help="Where runs are made: local (processes of this machine), ray or slurm, whose machines share the store's path."
    ),
]
EngineOption = Annotated[
    tuple[str, ...],
    Parameter(
        name="--engine-option",
        negative=(),
        help="KEY=VALUE, as often as needed. ray: address (HOST:PORT), cpus and gpus of each run (gpus=0.25). "
        "slurm: partition, account, minutes, cpus, gpus, memory (GiB), cluster (slurm, or local to try it here).",
    ),
]


def sweep_command(
    recipe: RecipeName | None = None,
    /,
    *grid: Annotated[
        str,
        Parameter(help="Keys to change: key=value, key=v1,v2, key=log:FROM:TO:COUNT (geometric) or key=lin:FROM:TO:COUNT."),
    ],
    workers: Workers = None,
    together: Together = "auto",
    engine: EngineName = "local",
    engine_option: EngineOption = (),
    status: Annotated[bool, Parameter(negative=(), help="Only say how far the store is; RECIPE may be left out.")] = False,
    store: StoreDir = DEFAULT_STORE,
    device: Device = "auto",
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> int:
    """Train all runs of a grid, several at a time.

    For example:

      ratelab sweep digits/vae objective.beta=log:0.1:10:11 seed=0,1 --workers 2

    Every combination of the values becomes one run. A sweep that is started again
    makes only the runs that are missing, and a run that fails leaves the others
    alone. Small fully connected networks train as stacks, many models in one
    process, with the same results. On a cluster, with the same results again:

      ratelab sweep digits/vae objective.beta=log:0.1:10:11 --engine ray --engine-option address=10.0.0.1:6379
      ratelab sweep --status --store runs

    At the end it prints the frontier of the store, in nats on the test
    split.

    Exits with code 1 when a run failed; standard error then lists which and why.
    A run that diverged is a result, not a failure.
    """
    if status:
        show_status(store, recipe, grid, allow_code, as_json)
        return 0
    if recipe is None:
        raise UserError("RECIPE is missing; see 'ratelab sweep --help'")
    from ratelab.runs import Circumstances, expand, read_recipe
    from ratelab.runs.engines import check_name, engine_options
    from ratelab.store import Store

    size = stack_size(together)
    check_name(engine)
    options = engine_options(engine_option)
    recipes = expand(read_recipe(recipe), grid)
    # Another machine's devices are its own to look at.
    under = circumstances(device, allow_code) if engine == "local" else Circumstances(device=device, allow_code=allow_code)
    results = run_all(recipes, Store.create(store), under, workers, size, engine, options)
    answer(document(store, results), as_json, lambda out: print_planes(store, results, out))
    return exit_code(results)


def run_all(
    recipes: "Sequence[Recipe]",
    store: "Store",
    under: "Circumstances",
    workers: int | None,
    together: "int | Literal['auto']" = "auto",
    engine: str = "local",
    options: "Mapping[str, Any] | None" = None,
) -> list[Results]:
    """Make what is missing, with a line for every run that ends."""
    from ratelab.runs import sweep
    from ratelab.runs.interrupt import announced

    documents = [recipe.document() for recipe in recipes]
    names = {_key(recipe): label for recipe, label in zip(documents, labels(documents), strict=True)}
    began = time.time()
    with finished_runs(len(recipes)) as show, announced(say_stopping):

        def on_result(done: int, total: int, results: Results) -> None:
            clock = _seconds(store, results["run"], began)
            show(done, f"[{done}/{total}] {names[_key(results['recipe'])]}: {rate_and_distortion(results)} ({clock})")

        chosen: dict[str, Any] = {"workers": workers, "together": together, "engine": engine, "options": options}
        made = sweep(recipes, store, under, **chosen, on_result=on_result, on_choice=say)
    failed = [results for results in made if results["status"] == "failed"]
    if failed:
        say(f"{len(failed)} of {len(made)} runs failed; the same command tries them again:")
    for results in failed:
        say(f"  {results['run']}: {results['why']}")
    return made


def exit_code(results: Sequence[Results]) -> int:
    """1 where a run failed, else 0: what a script that made these runs looks at."""
    return int(any(r["status"] == "failed" for r in results))


def _key(recipe: "dict[str, Any]") -> str:
    """What a run is about, the same whatever its title and wherever its data lay when it was made."""
    import json

    from ratelab.runs.places import without_place

    return json.dumps(without_place({**recipe, "title": ""}), sort_keys=True)


def _seconds(store: "Store", run: str, began: float) -> str:
    """How long a run took, from its own record; ``finished already`` for one that was there before."""
    from datetime import datetime

    provenance = store.run(run).provenance()
    finished = provenance.get("finished")
    if finished is not None and datetime.fromisoformat(finished).timestamp() < began - 1:
        return "finished already"
    return f"{sum(provenance.get('seconds', {}).values()):.1f} s"


def covered(store: Path, results: Sequence[Results]) -> "list[Plane]":
    """The planes that these runs lie on; none where no run finished."""
    from ratelab.analysis.plane import planes

    runs = {r["run"] for r in results}
    if not any(r["status"] == "done" for r in results):
        return []
    return [plane for plane in planes(store) if any(point.record.folder.id in runs for point in plane.points)]


def document(store: Path, results: Sequence[Results]) -> dict[str, Any]:
    """The frontier document of the plane that these runs lie on.

    Runs on several data sets, and runs of which none finished, have no frontier together: its fields are then empty and
    ``why`` says so.
    """
    from ratelab.analysis.plane import frontier_document

    found = covered(store, results)
    if len(found) == 1:
        return frontier_document(store, found[0].data)
    why = "the runs are on several data sets, which share no plane" if found else "no run finished"
    empty: dict[str, Any] = {
        "frontier": [],
        "hull": [],
        "h_hat": None,
        "best": dict.fromkeys(("reconstruct", "represent", "generate")),
    }
    return {"schema": 1, "store": str(store), "data": None, "runs": list(results), **empty, "why": why}


def print_planes(store: Path, results: Sequence[Results], out: Console) -> None:
    """The planes that these runs lie on, as tables."""
    from ratelab.cli.tables import print_plane

    for plane in covered(store, results):
        print_plane(plane, out)

"""``ratelab evaluate``: more measurements of trained runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from ratelab.cli.options import DEFAULT_STORE, AllowCode, AsJson, Device, RunName, StoreDir, circumstances, find_run
from ratelab.cli.progress import Report, progress
from ratelab.cli.terminal import answer, say
from ratelab.core.at import parted
from ratelab.core.errors import UserError

if TYPE_CHECKING:
    from ratelab.evaluation.measure import Tick
    from ratelab.runs import Circumstances, Helpers, Recipe, Trained
    from ratelab.store import RunFolder, Store

Node = dict[str, Any]
Results = dict[str, Any]
ALL = "all"


def evaluate_command(
    run: RunName | None = None,
    /,
    *more: Annotated[str, Parameter(help="Further runs.")],
    estimators: Annotated[
        str | None,
        Parameter(
            help="What to measure: names (iwae,psnr), or with options as YAML or JSON ('{name: iwae, samples: 500}'); 'all' that the "
            "model allows; left out: show what is known. 'ratelab list estimators' lists them."
        ),
    ] = None,
    pythae: Annotated[
        Path | None, Parameter(help="Instead of a run: a folder that pythae saved a VAE to; its weights are read, no code is.")
    ] = None,
    data: Annotated[str | None, Parameter(help="With --pythae: the data set whose test split is measured on.")] = None,
    store: StoreDir = DEFAULT_STORE,
    device: Device = "auto",
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Measure more about trained runs, or about a model that pythae trained.

    For example:

      ratelab evaluate 3f2a 81c0 --estimators iwae,psnr
      ratelab evaluate --pythae my_model/final_model --data static-mnist

    Adds the estimates to the runs' results.json, on the validation and the test
    split, one estimator after the other. What a run has been measured for with the
    same options is not measured again; the same estimator with other options
    replaces its estimates. 'all' takes what a run has not been measured for yet,
    with its default options, and says what the model does not allow.

    RUN may be a store: then every finished run in it is measured, and those that an estimator
    does not suit are named and left out.

    RUN@beta=0.5 measures one model for many betas at any beta of its range, and adds
    the point to the run's others.
    """
    if pythae is not None or data is not None:
        _foreign(pythae, data, run, estimators, as_json)
        return
    if run is None:
        raise UserError("RUN is missing; see 'ratelab evaluate --help'")
    folders = [each for name in (run, *more) for each in _named(name, store)]
    under, everything = circumstances(device, allow_code), estimators == ALL
    nodes = None if everything else parse_estimators(estimators)
    if everything:
        say(f"all but those that train a model of their own first; ask for these by name: {', '.join(with_helpers())}")
    found = [done for folder, betas, alone in folders if (done := _measure_one(folder, nodes, under, betas, alone)) is not None]
    if not found:
        raise UserError(f"no run of the store {run} could be measured")

    def text(out: Console) -> None:
        from ratelab.cli.tables import print_estimates

        for results in found:
            out.print(f"run {results['run']}: test split")
            print_estimates(results, out)

    answer({"schema": 1, "runs": found}, as_json, text)


def _named(name: str, store: Path) -> list[tuple["RunFolder", tuple[float, ...] | None, bool]]:
    """The run that a name means, or all finished runs of the store that it means; with its betas, and whether it was asked for alone."""
    from ratelab.store import Store
    from ratelab.store.store import MARK

    if (Path(name) / MARK).is_file():
        return [(folder, None, False) for folder in Store(name).runs() if (folder.results() or {}).get("status") == "done"]
    own, betas = parted(name)
    return [(find_run(own, store), betas, True)]


def _measure_one(
    folder: "RunFolder", nodes: Sequence[Node] | None, under: "Circumstances", betas: tuple[float, ...] | None, alone: bool
) -> Results | None:
    """As :func:`measure`; of a whole store, None and a line for a run that does not allow it."""
    try:
        return measure(folder, nodes, under, betas)
    except UserError as error:
        if alone:
            raise
        say(f"run {folder.id}: left out: {error}")
        return None


def _foreign(folder: Path | None, data: str | None, run: str | None, estimators: str | None, as_json: bool) -> None:
    """Measure a model of pythae on the test split of a data set; nothing is stored."""
    if folder is None or data is None or run is not None:
        raise UserError("--pythae goes with --data and without a run, e.g. --pythae FOLDER --data static-mnist")
    if estimators == ALL:
        raise UserError("--estimators: 'all' is for runs; name what to measure of a model of pythae, e.g. iwae,marginal-kl")
    from ratelab.cli.arrays import examples
    from ratelab.data import load
    from ratelab.evaluation.foreign import measure as measure_parts
    from ratelab.evaluation.pythae import read_pythae
    from ratelab.runs.results import plain
    from ratelab.runs.yaml12 import parse

    nodes = parse_estimators(estimators) or [{"name": "rate-distortion"}]
    parts = read_pythae(folder)
    dataset = load(parse(data, "--data"))
    if dataset.event_shape != parts.decoder.event_shape:
        raise UserError(
            f"--data: examples of '{dataset.name}' are {dataset.event_shape}, the model's {parts.decoder.event_shape}"
        )
    found = plain(measure_parts(*parts, None, examples(dataset, "test"), y=dataset.test.y, estimators=nodes))
    document = {"schema": 1, "model": str(folder), "data": dataset.name, "estimates": found}

    def text(out: Console) -> None:
        from ratelab.cli.tables import estimates_table

        out.print(f"{folder} on {dataset.name}: test split", estimates_table(document))

    answer(document, as_json, text)


def parse_estimators(text: str | None) -> list[Node]:
    """The estimators a user typed as resolved nodes; :class:`UserError` for one that does not exist."""
    if text is None:
        return []
    from ratelab.estimators import ESTIMATORS
    from ratelab.runs.grid import pieces
    from ratelab.runs.yaml12 import parse

    typed: list[Any] = []
    for part in pieces(text):
        value = parse(part, "--estimators")
        typed += value if isinstance(value, list) else [value]
    if None in typed or not typed:
        raise UserError(
            "--estimators: a name is missing; name what to measure, e.g. iwae,psnr, or leave it out to see what is known"
        )
    if any(node == ALL or (isinstance(node, dict) and node.get("name") == ALL) for node in typed):
        raise UserError(f"--estimators: '{ALL}' stands alone; measure with options first, then '{ALL}' adds the rest")
    nodes = [ESTIMATORS.resolve(node, "--estimators") for node in typed]
    names = [node["name"] for node in nodes]
    repeated = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if repeated is not None:
        raise UserError(f"--estimators: '{repeated}' is listed twice; list each estimator once")
    return nodes


def measure(
    folder: "RunFolder", nodes: Sequence[Node] | None, under: "Circumstances", betas: tuple[float, ...] | None = None
) -> Results:
    """The results of a finished run with these estimators among them; measures and writes only what is missing.

    ``nodes``: None for all that the model allows and that the run was not measured for. With ``betas``: the same of what the run's
    model is there, under the name of that point.
    """
    from ratelab.store import Busy

    try:
        with folder.locked():
            results = _finished(folder)
            if betas is not None:
                return _at(folder, results, nodes, under, betas)
            known = settings(results)
            asked = [node for node in nodes or [] if node != known.get(node["name"])]
            if nodes is None:
                asked = [node for node in every_estimator() if node["name"] not in known]
            if not asked:
                say(f"run {folder.id}: nothing new to measure")
                return results
            return _add(folder, results, asked, under, strict=nodes is not None)
    except Busy:
        raise UserError(f"run {folder.id} is being worked on by another process; wait for it, or stop it first") from None


def _finished(folder: "RunFolder") -> Results:
    from ratelab.runs import finished, known

    results = finished(folder)
    if results is None:
        status = known(folder)["status"].replace("running", "stopped")  # who trains it would hold its lock
        raise UserError(
            f"run {folder.id} is not finished ({status}); give its train command again, which goes on where it stopped"
        )
    return results


def settings(results: Results) -> dict[str, Node]:
    """Each estimator a run was measured with, by name, and its options: the recipe's, and those added since."""
    nodes = [*results["recipe"]["evaluation"]["estimators"], *results.get("measured", [])]
    return {node["name"]: node for node in nodes}


def every_estimator() -> list[Node]:
    """All that there are, with their default options, save those that train a helper first: these want to be asked for."""
    from ratelab.estimators import ESTIMATORS

    return [ESTIMATORS.resolve(name, "--estimators") for name in ESTIMATORS if name not in with_helpers()]


def with_helpers() -> list[str]:
    """The estimators that train a model of their own first, and want to be asked for by name."""
    from ratelab.estimators import ESTIMATORS

    return [name for name, entry in ESTIMATORS.items() if entry.target.needs.helper is not None]  # type: ignore[attr-defined]


def _at(
    folder: "RunFolder", results: Results, nodes: Sequence[Node] | None, under: "Circumstances", betas: tuple[float, ...]
) -> Results:
    """What a run is at ``betas``, as results of its own; what of it is missing is measured and added to the run's points."""
    from ratelab.core.at import condition, suffix
    from ratelab.runs import open_run
    from ratelab.runs.points import add_point, point_at

    given = condition(betas)
    point = point_at(results, given)
    known = {} if point is None else settings({**results, **point})
    wanted = {node["name"]: node for node in (results["recipe"]["evaluation"]["estimators"] if point is None else [])}
    wanted |= {
        node["name"]: node for node in (every_estimator() if nodes is None else nodes) if nodes or node["name"] not in known
    }
    asked = [node for node in wanted.values() if node != known.get(node["name"])]
    if not asked:
        say(f"run {folder.id}{suffix(given)}: nothing new to measure")
    else:
        trained = open_run(folder, under, betas)
        helper = _helpers(folder, trained, under)
        asked = _allowed(folder, trained, asked, helper, strict=nodes is not None)
        batches = -(-len(trained.dataset.test) // trained.recipe.evaluation.batch_size)
        with progress(f"run {trained.run}", batches, "batches") as report:
            work = trained.model, trained.dataset, trained.recipe, betas, asked, known, under.torch_device()
            results = add_point(folder, results, *work, told(report), helper)
        if helper.used:
            results["helpers"] = {**results.get("helpers", {}), **helper.used}
            folder.write_results(results)
    rest = {key: value for key, value in results.items() if key != "points"}
    return {**rest, **(point_at(results, given) or {}), "run": folder.id + suffix(given)}


def _add(folder: "RunFolder", results: Results, nodes: Sequence[Node], under: "Circumstances", strict: bool) -> Results:
    """Measure one after the other; each is written down as it is done. Not ``strict``: leave out what the model does not allow."""
    from ratelab.runs import open_run

    trained = open_run(folder, under)
    helper = _helpers(folder, trained, under)
    for node in _allowed(folder, trained, nodes, helper, strict):
        try:
            results = _measured(folder, results, node, trained, under, helper)
        except UserError as error:  # found only with all the data: too few examples, a range that does not cover them
            if strict:
                raise
            say(f"run {folder.id}: left out: {error}")
    return results


def _allowed(folder: "RunFolder", trained: "Trained", nodes: Sequence[Node], helper: "Helpers", strict: bool) -> list[Node]:
    """The estimators that suit the model; a line for each that does not, which is an error where it was asked for (``strict``).

    Those of all layers together repeat those of the top layer where there is but one, and are left out unless asked for.
    """
    from ratelab.estimators import ESTIMATORS
    from ratelab.evaluation import check_estimators

    refused = check_estimators(trained.model, trained.dataset, nodes, helper)
    for name in (node["name"] for node in nodes if not strict and len(trained.model.latent_shapes) == 1):
        one = ESTIMATORS[name].target.needs.of_one_layer  # type: ignore[attr-defined]
        if one is not None and one not in refused:
            refused[name] = f"estimator '{name}' of one layer is '{one}'"
    for line in refused.values():
        if strict:
            raise UserError(line)
        say(f"run {folder.id}: left out: {line}")
    return [node for node in nodes if node["name"] not in refused]


def told(report: Report) -> "Tick":
    """What an evaluation calls as it proceeds, for a bar."""

    def tick(done: int, total: int, note: str = "") -> None:
        report(done, note)

    return tick


def _helpers(folder: "RunFolder", trained: "Trained", under: "Circumstances") -> "Helpers":
    """What estimators need trained, as runs of the store that the run lies in."""
    from ratelab.runs import Helpers
    from ratelab.store import Store

    return Helpers(folder.id, trained.recipe, Store(folder.path.parent), under, _train)


def _train(recipe: "Recipe", store: "Store", under: "Circumstances") -> Results:
    """Train a helper, with a line for each of its epochs; one that is trained already is said nothing of."""
    from ratelab.runs import execute

    def tell(row: Mapping[str, Any]) -> None:
        say(f"{recipe.title}: epoch {row['epoch']} of {recipe.training.epochs}, {row['seconds']:.0f} s")

    return execute(recipe, store, under, on_row=tell)


def _measured(
    folder: "RunFolder", results: Results, node: Node, trained: "Trained", under: "Circumstances", helper: "Helpers"
) -> Results:
    from ratelab.evaluation import evaluate
    from ratelab.runs.memory import keep_freed_memory
    from ratelab.runs.results import plain
    from ratelab.store import jsonable

    keep_freed_memory()

    estimates = {}
    for which in ("validation", "test"):
        size = trained.recipe.evaluation.batch_size
        batches = -(-len(getattr(trained.dataset, which)) // size)
        with progress(f"run {folder.id}, {node['name']}, {which}", batches, "batches") as report:
            estimates[which], arrays = evaluate(
                trained.model,
                trained.dataset,
                which,
                [node],
                trained.recipe.seed,
                batch_size=size,
                device=under.torch_device(),
                helper=helper,
                tick=told(report),
            )
    folder.write_per_example({**folder.per_example(), **arrays})
    earlier = [each for each in results.get("measured", []) if each["name"] != node["name"]]
    results = {
        **results,
        "estimates": {**results["estimates"], **plain(estimates["test"])},
        "validation": {**results["validation"], **plain(estimates["validation"])},
        "measured": jsonable([*earlier, node]),
    }
    if helper.used:
        results["helpers"] = {**results.get("helpers", {}), **helper.used}
    folder.write_results(results)
    return results

"""What one model for a whole curve is at single betas: measured without training again, and kept among the run's points."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ratelab.core.at import Condition, betas_of, condition, slug, suffix
from ratelab.core.dataset import Dataset
from ratelab.core.model import Model
from ratelab.evaluation import Helper, draw_pictures, evaluate
from ratelab.evaluation.measure import Tick
from ratelab.runs.recipe import Recipe
from ratelab.runs.results import Results, plain
from ratelab.store import RunFolder, jsonable

Betas = tuple[float, ...]
Arrays = dict[str, np.ndarray]
COUNT = 9


def betas_to_measure(recipe: Recipe, model: Model) -> list[Betas]:
    """Where a trained model is measured beside its default: nowhere unless it is conditioned on beta."""
    if model.conditioning is None:
        return []
    asked = recipe.evaluation.betas
    betas = model.conditioning.spread(COUNT) if asked is None else asked
    return [(beta,) if isinstance(beta, float) else beta for beta in betas]


def check_betas(recipe: Recipe, model: Model) -> None:
    """:class:`UserError` where the recipe asks for a measurement outside the range that the model is trained over."""
    for betas in betas_to_measure(recipe, model):
        assert model.conditioning is not None
        model.conditioning.check(betas)


def measure_at(
    model: Model,
    dataset: Dataset,
    betas: Betas,
    nodes: Sequence[dict[str, Any]],
    recipe: Recipe,
    device: Any,
    tick: Tick | None = None,
    helper: Helper | None = None,
) -> tuple[Results, Arrays]:
    """One point of a conditioned model, as in ``results.json``, and its per-example arrays on the test split.

    The draws are those of any other beta, so that points differ by beta alone. The model is left as it was.
    """
    assert model.conditioning is not None
    with model.conditioning.used_at(betas):
        (validation, _), (test, arrays) = (
            evaluate(
                model,
                dataset,
                which,
                nodes,
                recipe.seed,
                batch_size=recipe.evaluation.batch_size,
                device=device,
                tick=tick,
                helper=helper,
            )
            for which in ("validation", "test")
        )
    found = condition(betas)
    point = {"condition": found, "estimates": plain(test), "validation": plain(validation)}
    return point, {name + suffix(found): values for name, values in arrays.items()}


def draw_at(model: Model, dataset: Dataset, given: Condition, seed: int) -> Iterator[tuple[str, bytes]]:
    """The pictures of a conditioned model at one of its points, under names of their own."""
    assert model.conditioning is not None
    with model.conditioning.used_at(betas_of(given)):
        drawn = draw_pictures(model, dataset, seed)
    yield from ((name + slug(given), png) for name, png in drawn.items())


def joined(points: Sequence[Results], point: Results) -> list[Results]:
    """``points`` by rising beta with one more; what it measured replaces what was known at the same condition."""
    known = {betas_of(p["condition"]): p for p in points}
    at = betas_of(point["condition"])
    before = known.get(at, {"estimates": {}, "validation": {}})
    known[at] = {**before, **point, **{key: {**before[key], **point[key]} for key in ("estimates", "validation")}}
    return [known[betas] for betas in sorted(known)]


def point_at(results: Results, given: Condition) -> Results | None:
    """The point of a run at a condition, where it was measured."""
    return next((p for p in results.get("points", ()) if betas_of(p["condition"]) == betas_of(given)), None)


def add_point(
    folder: RunFolder,
    results: Results,
    model: Model,
    dataset: Dataset,
    recipe: Recipe,
    betas: Betas,
    nodes: Sequence[dict[str, Any]],
    known: Mapping[str, Any],
    device: Any,
    tick: Tick | None = None,
    helper: Helper | None = None,
) -> Results:
    """Measure a finished run's model at ``betas`` and write it down; ``known``: what it was measured with there, by name.

    Returns the run's results with the point among its points. The caller owns the folder's lock.
    """
    given = condition(betas)
    point, arrays = measure_at(model, dataset, betas, nodes, recipe, device, tick, helper)
    point["measured"] = jsonable(list({**known, **{node["name"]: node for node in nodes}}.values()))
    for name, png in draw_at(model, dataset, given, recipe.seed):
        folder.write_picture(name, png)
    folder.write_per_example({**folder.per_example(), **arrays})
    results = {**results, "points": joined(results.get("points", ()), point)}
    folder.write_results(results)
    return results

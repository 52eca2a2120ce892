"""What a worker does with a task, wherever it runs."""

from collections.abc import Sequence
from pathlib import Path

from ratelab.runs.circumstances import Circumstances
from ratelab.runs.engines.engine import Made
from ratelab.runs.execute import attempt
from ratelab.runs.interrupt import Stop
from ratelab.runs.recipe import Recipe
from ratelab.runs.stacked import attempt_together
from ratelab.store import Busy, Store


def make(recipes: Sequence[Recipe], resumed: Sequence[str], store: Path, circumstances: Circumstances, stop: Stop) -> Made:
    """Make runs, several as one stack; those that another process is making are left out, and all when the sweep stops.

    ``resumed``: the members of the unfinished stack that the runs go on with.
    """
    if stop():
        return {}
    if len(recipes) > 1 or resumed:
        return attempt_together(recipes, Store(store), circumstances, resumed, stop)
    try:
        results = attempt(recipes[0], Store(store), circumstances, stop)
    except (Busy, KeyboardInterrupt):
        return {}
    return {results["run"]: results}

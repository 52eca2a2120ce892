"""A finished run back as a model: for sampling, reconstructing, encoding and measuring anew."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ratelab.core.at import condition, suffix
from ratelab.core.dataset import Dataset
from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.evaluation import Helper
from ratelab.runs.assemble import build_model
from ratelab.runs.circumstances import Circumstances
from ratelab.runs.code import code_digests
from ratelab.runs.judges import judge_recipe
from ratelab.runs.recipe import Recipe, resolve
from ratelab.runs.results import Results, recipe_document
from ratelab.store import Busy, RunFolder, Store
from ratelab.training import load_weights

Make = Callable[[Recipe, Store, Circumstances], Results]
PAUSE = 2.0  # seconds between looks at a helper that another process is training


@dataclass(frozen=True)
class Trained:
    """A trained model in evaluation mode, the data it was trained on, and its recipe. ``run``: its id, and its betas if asked for."""

    run: str
    recipe: Recipe
    dataset: Dataset
    model: Model


def recipe_of(folder: RunFolder) -> Recipe:
    """The recipe of a run; :class:`UserError` naming the file where this RateLab cannot read it."""
    try:
        return resolve(recipe_document(folder))
    except UserError as error:
        raise UserError(f"{folder.path / 'recipe.json'}: {error}") from None


def open_run(folder: RunFolder, circumstances: Circumstances | None = None, betas: tuple[float, ...] | None = None) -> Trained:
    """The model of a run, as it was evaluated; at ``betas`` where it is one model of many.

    Raises :class:`UserError` where the run has no weights yet, where they are damaged, and where the data or the code that the
    recipe names is not what it was; and for betas that it does not serve.
    """
    circumstances = circumstances or Circumstances()
    recipe = recipe_of(folder)
    digests = code_digests(recipe.document(), circumstances.allow_code)
    dataset = circumstances.dataset(recipe)
    if not recipe.identity(dataset.digest, digests).startswith(folder.id):
        what = "the data or the code it names" if digests else "its data"
        raise UserError(f"run {folder.id} was made otherwise: {what} changed since; train it again")
    model = build_model(recipe, dataset)
    load_weights(model, folder.weights(), str(folder.path / "model.safetensors"))
    name = folder.id
    if betas is not None:
        if model.conditioning is None:
            raise UserError(f"run {name} is a model of one beta, not conditioned on it; leave '{suffix(condition(betas))}' out")
        model.conditioning.use(betas)
        name += suffix(condition(betas))
    return Trained(name, recipe, dataset, model.to(circumstances.torch_device()).eval())


def helpers(data: Mapping[str, Any], store: Store, circumstances: Circumstances, make: Make) -> Helper:
    """Gives the trained helpers that estimators ask for, as runs of the store; ``make`` trains one that is not there yet.

    Waits while another process trains it. Raises :class:`UserError` for one that did not end well.
    """

    def helper(node: Mapping[str, Any]) -> Model:
        recipe = judge_recipe(data, node)
        while True:
            try:
                with torch.enable_grad():  # whoever asks is measuring, and keeps no gradients
                    results = make(recipe, store, circumstances)
                break
            except Busy:
                time.sleep(PAUSE)
        if results["status"] != "done":
            raise UserError(
                f"estimator '{node['name']}': its classifier, run {results['run']}, ended as {results['status']}; look at it first"
            )
        return open_run(store.run(results["run"]), circumstances).model

    return helper

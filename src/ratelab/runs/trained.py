"""A finished run back as a model: for sampling, reconstructing, encoding and measuring anew."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ratelab.core.at import condition, parted, suffix
from ratelab.core.dataset import Dataset
from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.evaluation import evaluate
from ratelab.runs.assemble import Subject, build_model
from ratelab.runs.circumstances import Circumstances
from ratelab.runs.code import code_digests
from ratelab.runs.judges import JUDGE, helper_recipe
from ratelab.runs.recipe import Recipe, resolve
from ratelab.runs.results import Results, plain, recipe_document
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


def unknown_then(now: Mapping[str, Any], then: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The keys that a recipe has now and had not when it was written down.

    >>> unknown_then({"model": {"name": "vae", "top": None}, "seed": 0}, {"model": {"name": "vae"}, "seed": 0})
    ['model.top']
    """
    found = [f"{prefix}{key}" for key in now if key not in then]
    both = [(key, now[key], then[key]) for key in now if isinstance(now[key], Mapping) and isinstance(then.get(key), Mapping)]
    return found + [name for key, ours, theirs in both for name in unknown_then(ours, theirs, f"{prefix}{key}.")]


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
        new = unknown_then(recipe.document(), recipe_document(folder))
        if new:
            lacks = " and no ".join(new)
            raise UserError(
                f"run {folder.id} was made by another version of RateLab, which had no {lacks}; use it, or train it again"
            )
        what = "the data or the code it names" if digests else "its data"
        raise UserError(f"run {folder.id} was made otherwise: {what} changed since; train it again")
    model = build_model(recipe, dataset, subjects(folder.path.parent, circumstances))
    load_weights(model, folder.weights(), str(folder.path / "model.safetensors"))
    name = folder.id
    if betas is not None:
        if model.conditioning is None:
            raise UserError(f"run {name} is a model of one beta, not conditioned on it; leave '{suffix(condition(betas))}' out")
        model.conditioning.use(betas)
        name += suffix(condition(betas))
    return Trained(name, recipe, dataset, model.to(circumstances.torch_device()).eval())


def subjects(store: Path, circumstances: Circumstances) -> Subject:
    """Gives the runs of a store that others learn about."""

    def subject(of: str) -> Model:
        run, betas = parted(of)
        return open_run(Store(store).find(run), circumstances, betas).model

    return subject


class Helpers:
    """Gives the trained helpers that estimators of one run ask for, as runs of the store; ``make`` trains one that is not there yet.

    ``used``: of each estimator, the run that helped it, its seed, the seconds its training took, and of a classifier its accuracy on the
    test split, whether its recipe asks for it or not. Waits while another process trains a helper. Raises :class:`UserError` for one
    that did not end well.
    """

    def __init__(self, run: str, recipe: Recipe, store: Store, circumstances: Circumstances, make: Make) -> None:
        self.run, self.recipe, self.store, self.circumstances, self.make = run, recipe, store, circumstances, make
        self.used: dict[str, dict[str, Any]] = {}
        self._accuracies: dict[str, dict[str, Any]] = {}

    def __call__(self, node: Mapping[str, Any], model: Model) -> Model:
        at = "" if model.conditioning is None else suffix(condition(model.conditioning.betas))
        dataset = self.circumstances.dataset(self.recipe)
        recipe = helper_recipe(self.recipe, node, self.run + at, lambda which: len(getattr(dataset, which)))
        try:
            results = self._made(recipe)
        except UserError as error:
            raise UserError(f"estimator '{node['name']}': {error}") from None
        if results["status"] != "done":
            advice = "ask for it with a lower lr" if results["status"] == "diverged" else "look at it first"
            raise UserError(
                f"estimator '{node['name']}': its helper, run {results['run']}, ended as {results['status']}; {advice}"
            )
        folder = self.store.run(results["run"])
        seconds = folder.provenance().get("seconds", {}).get("training")
        helper = open_run(folder, self.circumstances)
        used = {"run": folder.id, "seed": recipe.seed, "seconds": seconds}
        if recipe.model["name"] == JUDGE:
            used["accuracy"] = self._accuracy(helper, results)
        self.used[node["name"] + at] = used
        return helper.model

    def _accuracy(self, judge: Trained, results: Results) -> dict[str, Any]:
        """How often a classifier is right on the test split: as its run says, else measured here."""
        known = results["estimates"].get("accuracy") or self._accuracies.get(judge.run)
        if known is None:
            size, device = judge.recipe.evaluation.batch_size, self.circumstances.torch_device()
            found, _ = evaluate(
                judge.model, judge.dataset, "test", [{"name": "accuracy"}], judge.recipe.seed, batch_size=size, device=device
            )
            known = plain(found)["accuracy"]
        self._accuracies[judge.run] = dict(known)
        return self._accuracies[judge.run]

    def _made(self, recipe: Recipe) -> Results:
        while True:
            try:
                with torch.enable_grad():  # whoever asks is measuring, and keeps no gradients
                    return self.make(recipe, self.store, self.circumstances)
            except Busy:
                time.sleep(PAUSE)

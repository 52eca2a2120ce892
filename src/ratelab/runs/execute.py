"""One run in the store: lock, train from the last checkpoint, evaluate, write.

A run that is killed at any moment and executed again ends with the same weights, log (clock columns aside) and results as
one that was never disturbed, bit for bit on the same machine and with the same number of threads.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from traceback import extract_tb
from typing import Any

from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.evaluation import draw_pictures, evaluate
from ratelab.runs.assemble import build_trainer
from ratelab.runs.circumstances import Circumstances
from ratelab.runs.code import code_digests
from ratelab.runs.interrupt import Stop, patient
from ratelab.runs.memory import keep_freed_memory
from ratelab.runs.points import betas_to_measure, draw_at, joined, measure_at
from ratelab.runs.provenance import Provenance
from ratelab.runs.recipe import SCHEMA, Recipe
from ratelab.runs.results import Results, Status, finished, recipe_document, record
from ratelab.runs.trained import Helpers, subjects
from ratelab.store import Store
from ratelab.training import Trainer, load_weights

OnRow = Callable[[Mapping[str, Any]], None]


class Run:
    """A recipe's place in a store. Raises :class:`UserError` where its data or the code it names cannot be had."""

    def __init__(self, recipe: Recipe, store: Store, circumstances: Circumstances) -> None:
        self.recipe, self.store, self.circumstances = recipe, store, circumstances
        started = time.perf_counter()
        code = code_digests(recipe.document(), circumstances.allow_code)
        self.dataset = circumstances.dataset(recipe)
        digest = recipe.identity(self.dataset.digest, code)
        self.folder = store.run(digest[:12])
        self.device = circumstances.torch_device()
        self._origin = (self.folder.id, digest, self.dataset, code, self.device)
        self._reading = time.perf_counter() - started
        self.subject = subjects(store.path, circumstances)
        self._note_place()

    def _note_place(self) -> None:
        """Where the data of a finished run lies now, for those who use the run: it may have moved since."""
        with suppress(UserError):  # a damaged file is for those to report who need it
            if finished(self.folder) is None:
                return
            known, now = recipe_document(self.folder), self.recipe.document()
            if known["data"] != now["data"]:
                self.folder.write_recipe({"schema": SCHEMA, **known, "data": now["data"]})

    def check(self) -> None:
        """Raise :class:`UserError` for a mistake that only shows when the model is built, before anything is written."""
        if not self.folder.has_checkpoint():
            build_trainer(self.recipe, self.dataset, self.device, self.subject)

    def complete(self, on_row: OnRow | None = None, stop: Stop = lambda: False) -> Results:
        """Do all that is missing; the caller owns the folder's lock."""
        keep_freed_memory()
        trainer, provenance = self.begin()
        try:
            with provenance.phase("training"):
                self._train(trainer, on_row, stop)
        except BaseException:
            self.folder.write_provenance(provenance.document())
            raise
        return self.finish(trainer, provenance)

    def begin(self) -> tuple[Trainer, Provenance]:
        """A trainer at epoch 0, with recipe and provenance written down."""
        provenance = Provenance(*self._origin, self.folder.provenance())
        provenance.seconds["data"] = round(provenance.seconds.get("data", 0.0) + self._reading, 3)
        if not self.folder.has_checkpoint():
            provenance.stacked(())
        trainer = build_trainer(self.recipe, self.dataset, self.device, self.subject)
        self.folder.write_recipe({"schema": SCHEMA, **self.recipe.document()})
        self.folder.write_provenance(provenance.document())
        return trainer, provenance

    def finish(self, trainer: Trainer, provenance: Provenance) -> Results:
        """Measure a training that is over and write down the results."""
        try:
            results = self._measure(trainer, provenance)
        except BaseException:
            self.folder.write_provenance(provenance.document())
            raise
        self.folder.write_provenance(provenance.document(finished=True))
        self.folder.write_results(results)
        return results

    def _train(self, trainer: Trainer, on_row: OnRow | None, stop: Stop) -> None:
        if self.folder.has_checkpoint():
            trainer.restore(self.folder.checkpoint(), str(self.folder.path / "checkpoint.safetensors"))
        self.folder.keep_log(trainer.epoch)
        saved = time.monotonic()
        with patient() as asked:
            while not trainer.done:
                row = trainer.run_epoch()
                self.folder.append_log(row)
                stopping = asked() or stop()
                if trainer.done or stopping or time.monotonic() - saved >= self.circumstances.checkpoint_every:
                    self.folder.write_checkpoint(trainer.save())
                    saved = time.monotonic()
                if on_row is not None:
                    on_row(row)
                if stopping and not trainer.done:
                    raise KeyboardInterrupt

    def _measure(self, trainer: Trainer, provenance: Provenance) -> Results:
        """Estimates of the weights that are kept, on validation and test; per-example values and pictures of the test split."""
        weights, recipe = trainer.weights(), self.recipe
        self.folder.write_weights(weights)
        load_weights(trainer.model, weights, str(self.folder.path / "model.safetensors"))
        helper = Helpers(self.folder.id, recipe, self.store, self.circumstances, execute)
        with provenance.phase("evaluation"):
            (validation, _), (test, arrays) = (
                evaluate(
                    trainer.model,
                    self.dataset,
                    which,
                    recipe.evaluation.estimators,
                    recipe.seed,
                    batch_size=recipe.evaluation.batch_size,
                    device=self.device,
                    helper=helper,
                )
                for which in ("validation", "test")
            )
            points: list[Results] = []
            for betas in betas_to_measure(recipe, trainer.model):
                point, its_arrays = measure_at(
                    trainer.model, self.dataset, betas, recipe.evaluation.estimators, recipe, self.device, helper=helper
                )
                points, arrays = joined(points, point), arrays | its_arrays
        self.folder.write_per_example(arrays)
        with provenance.phase("pictures"):
            for name, png in self._pictures(trainer.model, points):
                self.folder.write_picture(name, png)
        diverged = trainer.status == "diverged"
        why = (
            f"the training stopped being finite in epoch {trainer.epoch}; estimates are of the last good state"
            if diverged
            else trainer.objective.missed(test)
        )
        status: Status = "diverged" if diverged else "done"
        return record(self.folder.id, recipe.document(), status, test, validation, why, points, helper.used)

    def _pictures(self, model: Model, points: Sequence[Results]) -> Iterator[tuple[str, bytes]]:
        """Pictures of the model, and of what it is at each of its points."""
        yield from draw_pictures(model, self.dataset, self.recipe.seed).items()
        for point in points:
            yield from draw_at(model, self.dataset, point["condition"], self.recipe.seed)


def execute(
    recipe: Recipe,
    store: Store,
    circumstances: Circumstances | None = None,
    *,
    on_row: OnRow | None = None,
    stop: Stop = lambda: False,
) -> Results:
    """Make one run, or what is missing of it, and return its results; a finished run returns at once.

    ``on_row`` sees every epoch's log row. ``stop`` is asked after every epoch; when it says so, and on Ctrl-C, the state is saved
    and :class:`KeyboardInterrupt` raised. Raises :class:`~ratelab.store.Busy` while another process makes the same run, and
    :class:`UserError` for a mistake in the recipe or a damaged file.
    """
    run = Run(recipe, store, circumstances or Circumstances())
    results = finished(run.folder)
    if results is not None:
        return results
    run.check()
    with run.folder.locked():
        return finished(run.folder) or run.complete(on_row, stop)


def attempt(recipe: Recipe, store: Store, circumstances: Circumstances, stop: Stop = lambda: False) -> Results:
    """:func:`execute` inside a sweep: what goes wrong is recorded as a run of status ``failed`` with its reason, and returned."""
    run = Run(recipe, store, circumstances)
    with run.folder.locked():
        try:
            return finished(run.folder) or run.complete(stop=stop)
        except Exception as error:
            return fail(recipe, store, run.folder.id, reason(error))


def fail(recipe: Recipe, store: Store, run: str, why: str) -> Results:
    """Record that a run failed, if the disk still takes it."""
    results = record(run, recipe.document(), "failed", why=why)
    folder = store.run(run)
    try:
        folder.write_recipe({"schema": SCHEMA, **recipe.document()})
        folder.write_results(results)
    except UserError as error:
        results["why"] = f"{why}; and it could not be recorded: {error}"
    return results


def reason(error: BaseException) -> str:
    """One line for what went wrong, and where unless it is the user's to mend."""
    text = " ".join(str(error).split())[:500]
    if isinstance(error, UserError):
        return text
    frames = extract_tb(error.__traceback__)[-1:]
    return f"{type(error).__name__}: {text}" + "".join(f" ({Path(at.filename).name}, line {at.lineno})" for at in frames)

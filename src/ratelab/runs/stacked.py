"""Many runs made as one: locked, trained in a stack, each measured and written down by itself as it leaves the stack.

The members' state lies in one file of the store until they leave, so a stack that is killed at any moment goes on as the same stack.
What cannot be stacked after all is made one after another, and where memory runs out the stack is halved.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import torch

from ratelab.core.errors import UserError
from ratelab.runs.assemble import build_trainer
from ratelab.runs.circumstances import Circumstances
from ratelab.runs.execute import Run, fail, reason
from ratelab.runs.interrupt import Stop
from ratelab.runs.memory import keep_freed_memory
from ratelab.runs.provenance import Provenance
from ratelab.runs.recipe import Recipe
from ratelab.runs.results import Results, finished
from ratelab.store import Busy, StackFolder, Store
from ratelab.training import FullState, StackTrainer, Trainer, likeness, pack, refusal, unpack

Made = dict[str, Results]


def attempt_together(
    recipes: Sequence[Recipe], store: Store, under: Circumstances, resumed: Sequence[str] = (), stop: Stop = lambda: False
) -> Made:
    """Make the runs that no other process is making; results by run id, failures among them.

    ``resumed``: the members of a stack that was left unfinished, whose state the runs go on from. What is missing from the result is
    to be asked for again.
    """
    keep_freed_memory()
    runs = {run.folder.id: run for run in (Run(recipe, store, under) for recipe in recipes)}
    whole = StackFolder(store.path, tuple(resumed) or tuple(runs))
    with ExitStack() as locks:
        try:
            locks.enter_context(whole.locked())
            mine = {name: run for name, run in runs.items() if _locked(run, locks)}
            return Members(mine, store, under, stop).make(whole)
        except (Busy, KeyboardInterrupt):
            return {name: results for name, run in runs.items() if (results := finished(run.folder)) is not None}


def _locked(run: Run, locks: ExitStack) -> bool:
    try:
        locks.enter_context(run.folder.locked())
    except Busy:
        return False
    return True


class Members:
    """Runs whose folders this process owns."""

    def __init__(self, runs: Mapping[str, Run], store: Store, under: Circumstances, stop: Stop) -> None:
        self.runs, self.store, self.under, self.stop = dict(runs), store, under, stop
        self.made: Made = {}

    def make(self, whole: StackFolder) -> Made:
        """All runs: those that the stack's file holds together from there, the others from the beginning."""
        for name, run in self.runs.items():
            results = finished(run.folder)
            if results is not None:
                self.made[name] = results
        states: dict[str, FullState] = {}
        if whole.has_checkpoint():
            states = unpack(whole.checkpoint(), str(whole.path / "checkpoint.safetensors"))
        missing = [name for name in self.runs if name not in self.made]
        self._stack([name for name in states if name in missing], states, whole)
        fresh = [name for name in missing if name not in states]
        for group in self._alike(fresh):
            self._stack(group, {}, StackFolder(self.store.path, group))
        if not set(states) - set(self.made):
            whole.drop_checkpoint()
        return self.made

    def _alike(self, names: Sequence[str]) -> list[list[str]]:
        """Runs in groups that may be stacked; those that have a state of their own, or cannot be stacked, by themselves."""
        groups: dict[str, list[str]] = {}
        for name in names:
            run = self.runs[name]
            try:
                trainer = build_trainer(run.recipe, run.dataset, run.device, run.subject)
                single = run.folder.has_checkpoint() or refusal(trainer) is not None
                groups.setdefault(name if single else likeness(trainer), []).append(name)
            except Exception as error:  # one run that cannot be made must not stop the others
                self._fail(name, error)
        return list(groups.values())

    def _stack(self, names: Sequence[str], states: Mapping[str, FullState], folder: StackFolder) -> None:
        """Train runs as one; alone where there is only one that never was in a stack, or where stacking fails."""
        if len(names) == 1 and not states:
            self._alone(names)
        elif names:
            self._side_by_side(names, states, folder)

    def _side_by_side(self, names: Sequence[str], states: Mapping[str, FullState], folder: StackFolder) -> None:
        target = folder if set(states) <= set(names) or not states else StackFolder(self.store.path, names)
        try:
            StackRun({name: self.runs[name] for name in names}, states, target, self.under, self.stop, self.made).complete()
        except UserError as error:
            for name in names:
                self._fail(name, error)
        except Exception as error:  # what a network does in a recorded program is not known before
            if not out_of_memory(error):
                self._alone([name for name in names if name not in self.made])
            elif len(names) == 1:
                self._fail(names[0], error)
            else:
                self._halve([name for name in names if name not in self.made], target)

    def _halve(self, names: Sequence[str], folder: StackFolder) -> None:
        """Two stacks of half the size, from the last common state; each has its own file before the common one goes."""
        states: dict[str, FullState] = {}
        if folder.has_checkpoint():
            states = unpack(folder.checkpoint(), str(folder.path / "checkpoint.safetensors"))
        halves = [part for part in (names[: len(names) // 2], names[len(names) // 2 :]) if part]
        folders = [StackFolder(self.store.path, part) for part in halves]
        for part, own in zip(halves, folders, strict=True):
            if states:
                own.write_checkpoint(pack({name: states[name] for name in part}))
        folder.drop_checkpoint()
        for part, own in zip(halves, folders, strict=True):
            self._stack(part, {name: states[name] for name in part if name in states}, own)

    def _alone(self, names: Sequence[str]) -> None:
        for name in names:
            try:
                self.made[name] = self.runs[name].complete(stop=self.stop)
            except Exception as error:  # recorded as the run's own failure
                self._fail(name, error)

    def _fail(self, name: str, error: BaseException) -> None:
        if name not in self.made:
            self.made[name] = fail(self.runs[name].recipe, self.store, name, reason(error))


class StackRun:
    """One stack from a common state (or the beginning) to the end of its last member; results go into ``made`` as they come."""

    def __init__(
        self,
        runs: Mapping[str, Run],
        states: Mapping[str, FullState],
        folder: StackFolder,
        under: Circumstances,
        stop: Stop,
        made: Made,
    ) -> None:
        self.runs, self.folder, self.under, self.stop, self.made = dict(runs), folder, under, stop, made
        self.trainers: dict[str, Trainer] = {}
        self.provenances: dict[str, Provenance] = {}
        for name, run in self.runs.items():
            trainer, provenance = run.begin()
            if name in states:
                trainer.load_full_state(*states[name], str(folder.path / "checkpoint.safetensors"))
            provenance.stacked(folder.members)
            run.folder.write_provenance(provenance.document())
            run.folder.keep_log(trainer.epoch)
            self.trainers[name], self.provenances[name] = trainer, provenance

    def complete(self) -> None:
        """Train and measure; the state is saved at least every ``checkpoint_every`` seconds and whenever a member leaves."""
        stack, saved = StackTrainer(self.trainers), time.monotonic()
        while not stack.done:
            before = tuple(stack.members)
            for name, row in stack.run_epoch().items():
                self.runs[name].folder.append_log(row)
                self.provenances[name].spent("training", row["seconds"])
            left = [name for name in before if name not in stack.members]
            stopping = self.stop()
            if left or stopping or time.monotonic() - saved >= self.under.checkpoint_every:
                self._save(stack, left)
                saved = time.monotonic()
            for name in left:
                self._finish(name)
            if stopping and not stack.done:
                raise KeyboardInterrupt

    def _save(self, stack: StackTrainer, left: Sequence[str]) -> None:
        """First the states of those that left, then the common file without them."""
        for name in left:
            self.runs[name].folder.write_checkpoint(self.trainers[name].save())
        if stack.done:
            self.folder.drop_checkpoint()
        else:
            self.folder.write_checkpoint(stack.save())

    def _finish(self, name: str) -> None:
        run = self.runs[name]
        try:
            self.made[name] = run.finish(self.trainers.pop(name), self.provenances[name])
        except Exception as error:  # the others go on
            self.made[name] = fail(run.recipe, Store(run.folder.path.parent), name, reason(error))


def out_of_memory(error: BaseException) -> bool:
    """The machine's or the device's memory is used up."""
    known = (MemoryError, torch.OutOfMemoryError) if hasattr(torch, "OutOfMemoryError") else (MemoryError,)
    return isinstance(error, known) or "can't allocate memory" in str(error)

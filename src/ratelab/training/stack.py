"""Many trainings as one: parameters side by side, batched products, one optimiser step for all.

A member is a :class:`Trainer` with streams, data order and hyper-parameters of its own. It goes through the same steps as alone
(same initial weights, batches and noise), up to float32 rounding.
"""

import time
from collections.abc import Mapping
from typing import Any

from ratelab.training import checkpoint
from ratelab.training.loader import side_by_side
from ratelab.training.loop import Trainer
from ratelab.training.precision import repeatable
from ratelab.training.side_by_side import SideBySide, Tensors
from ratelab.training.stackable import likeness, refusal
from ratelab.training.stacked_turns import StackedTurns
from ratelab.training.tally import Tally

FullState = tuple[Tensors, Mapping[str, Any]]


class Unstackable(ValueError):
    """These trainings cannot be one stack; the message says why."""


class StackTrainer:
    """Trains ``members``, by name and alike (:func:`~ratelab.training.stackable.likeness`), epoch by epoch.

    A member that has diverged, stopped early or come to its end leaves the stack as a trainer of its own; the others go on. Raises
    :class:`Unstackable` where members differ in more than numbers, or one cannot be stacked at all.
    """

    def __init__(self, members: Mapping[str, Trainer]) -> None:
        for member in members.values():
            why = refusal(member)
            if why is not None:
                raise Unstackable(why)
        if len({likeness(member) for member in members.values()}) != 1:
            raise Unstackable("its members differ in more than numbers")
        self._gather(members)

    @property
    def done(self) -> bool:
        """No member is left to train."""
        return not self.members

    def _gather(self, members: Mapping[str, Trainer]) -> None:
        self.members = dict(members)
        if members:
            self.sides = SideBySide(list(members.values()))
            self.turns = StackedTurns(self.sides)

    def run_epoch(self) -> dict[str, dict[str, Any]]:
        """One epoch of every member; returns each one's log row, those included that leave the stack with it.

        ``seconds`` is the stack's time, divided evenly.
        """
        started = time.perf_counter()
        with repeatable(self.sides.members[0].device):
            return self._epoch(started)

    def _epoch(self, started: float) -> dict[str, dict[str, Any]]:
        tally, rates = self._train()
        self.sides.hand_out_state()
        looked: list[Tally] = []

        def look(i: int) -> dict[str, Any]:
            if not looked:
                looked.append(self._validate())
            return looked[0].member(i).row("validation")

        rows = {
            name: member.close_epoch(tally.member(i), rates[i], lambda i=i: look(i))  # type: ignore[misc]
            for i, (name, member) in enumerate(self.members.items())
        }
        if any(member.done for member in self.members.values()):
            self.sides.part()
            self._gather({name: member for name, member in self.members.items() if not member.done})
        share = (time.perf_counter() - started) / len(rows)
        return {name: {**row, "seconds": share} for name, row in rows.items()}

    def _train(self) -> tuple[Tally, list[float]]:
        """All turns of an epoch, counted, and the learning rate at which each member made them."""
        members, tally = self.sides.members, Tally()
        rates, first = [member.set_rates() for member in members], members[0]
        first.model.train()
        orders, streams = ([member.streams[name] for member in members] for name in ("order", "training"))
        for batch in side_by_side([member.train_loader for member in members], orders, first.epoch):
            for position, player in enumerate(first.players):
                for _ in range(player.steps):
                    gradients, counted = self.turns.learn(position, batch, streams)
                    self.sides.optimisers[position].step(gradients)
                    for name, value in counted.items():
                        tally.count(name, value, batch.x.shape[1])
        return tally, rates

    def _validate(self) -> Tally:
        """Every member's validation split, with the draws that each would make alone."""
        members, tally = self.sides.members, Tally()
        first = members[0]
        first.model.eval()
        streams = [member.validation_noise() for member in members]
        for batch in first.validation_loader.ordered(first.epoch):
            for name, value in self.turns.look(batch, streams).items():
                tally.count(name, value, batch.size)
        return tally

    def save(self) -> bytes:
        """The full state of all members that are still training, in one piece: either all of them are saved or none."""
        return pack({name: member.full_state() for name, member in self.members.items()})


def pack(states: Mapping[str, FullState]) -> bytes:
    """Full states of trainers by name, in one blob."""
    tensors: Tensors = {}
    for name, (own, _) in states.items():
        tensors |= checkpoint.prefixed(name, own)
    return checkpoint.to_bytes(tensors, {"members": [[name, facts] for name, (_, facts) in states.items()]})


def unpack(blob: bytes, what: str) -> dict[str, FullState]:
    """The inverse of :func:`pack`, in the order of the stack; ``what`` names the source where it is corrupt."""
    tensors, facts = checkpoint.from_bytes(blob, what)
    return {name: (checkpoint.below(name, tensors), progress) for name, progress in facts["members"]}

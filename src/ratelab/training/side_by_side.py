"""The tensors of many trainers laid side by side: parameters, buffers and objective state with a leading axis of members.

While they lie there, a member's parameters and optimiser moments are views of the stacked ones, so that it can be measured, copied
and saved as if it were alone.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from ratelab.training.loop import Trainer
from ratelab.training.optimisers import Adam, Optimiser
from ratelab.training.stacked_adam import StackedAdam, leave

T = TypeVar("T")
Tensors = dict[str, Tensor]


class Pair(nn.Module):
    """A model and its objective as one module, so that weights and hyper-parameters are arguments alike."""

    def __init__(self, trainer: Trainer) -> None:
        super().__init__()
        self.model, self.objective = trainer.model, trainer.objective

    def forward(self, work: Callable[[], T]) -> T:
        return work()


class SideBySide:
    """``stacked``: (M, \\*shape) for what is learned or differs; ``shared``: buffers that are the same in all members.

    ``learned``: the names of each player's parameters, and ``optimisers`` one for each player. ``state``: the objectives', stacked.
    """

    def __init__(self, members: Sequence[Trainer]) -> None:
        self.members = tuple(members)
        pairs = [Pair(member) for member in members]
        self.pair = pairs[0]
        self.stacked, self.shared = _parameters(pairs), {}
        for name, values in _named([dict(pair.named_buffers()) for pair in pairs]).items():
            if all(torch.equal(value, values[0]) for value in values[1:]):
                self.shared[name] = values[0]
            else:
                self.stacked[name] = torch.stack(values)
        self.state: Tensors = {n: torch.stack(values) for n, values in _named([dict(m.state) for m in members]).items()}
        names = {id(parameter): name for name, parameter in self.pair.named_parameters()}
        self.learned = [[names[id(p)] for p in optimiser.parameters] for optimiser in members[0].optimisers]
        self.optimisers = [
            StackedAdam([adam(member.optimisers[position]) for member in members], [self.stacked[name] for name in learned])
            for position, learned in enumerate(self.learned)
        ]

    def of_player(self, position: int) -> tuple[Tensors, Tensors]:
        """The stacked tensors that one player learns, and the other ones."""
        own = self.learned[position]
        return {n: self.stacked[n] for n in own}, {n: t for n, t in self.stacked.items() if n not in own}

    def hand_out_state(self) -> None:
        """Give every member its own part of the objectives' state."""
        for i, member in enumerate(self.members):
            member.state = {name: value[i].clone() for name, value in self.state.items()}

    def part(self) -> None:
        """Give every member tensors of its own again."""
        for member in self.members:
            for parameter in (*member.model.parameters(), *member.objective.parameters()):
                parameter.data = parameter.data.clone()
            for optimiser in member.optimisers:
                leave(adam(optimiser))


def _parameters(pairs: Sequence[Pair]) -> Tensors:
    stacked: Tensors = {}
    for name, values in _named([dict(pair.named_parameters()) for pair in pairs]).items():
        stacked[name] = torch.stack([value.detach().contiguous() for value in values])
        for i, value in enumerate(values):
            value.data = stacked[name][i]
    return stacked


def _named(members: Sequence[Tensors]) -> dict[str, list[Tensor]]:
    """Each name's tensors, one for each member."""
    return {name: [member[name] for member in members] for name in members[0]}


def adam(optimiser: Optimiser) -> Adam:
    """The optimiser itself: only Adam stacks, which :func:`~ratelab.training.stackable.refusal` has seen to."""
    assert isinstance(optimiser, Adam)
    return optimiser

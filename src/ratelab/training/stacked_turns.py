"""What a player does in a turn, and what a look at validation data sees, as programs over the tensors of all members at once.

Members draw from streams of their own: a pass is asked once which draws it needs, each member then makes them in that order, and the
program takes them as arguments (``vmap`` cannot draw).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, grad_and_value, vmap

from ratelab.core.batch import Batch, LiveNoise, Noise, ReplayedNoise
from ratelab.core.objective import Turn
from ratelab.core.passes import Pass
from ratelab.training.precision import arithmetic
from ratelab.training.program import record
from ratelab.training.side_by_side import SideBySide, Tensors

Draws = list[tuple[Callable[..., Tensor], tuple[int, ...]]]


class StackedTurns:
    """Records each turn on its first batch of every shape, and runs it from then on."""

    def __init__(self, sides: SideBySide) -> None:
        self.sides, self.first = sides, sides.members[0]
        self.programs: dict[tuple[Any, ...], tuple[Callable[..., Any], Draws]] = {}

    def learn(self, position: int, batch: Batch, streams: Sequence[LiveNoise]) -> tuple[list[Tensor], Tensors]:
        """One player's turn on x (M, B, \\*event): its parameters' gradients, and what is counted, (M, ...) each.

        The objectives' next state goes into the tensors side by side.
        """
        own, rest = self.sides.of_player(position)
        before = (own, rest, self.sides.shared, self.sides.state)
        with arithmetic(self.first.plan.precision, self.first.device):
            program, draws = self._program(
                (position, batch.x.shape),
                lambda noise: self._lone_turn(position, batch, noise),
                self._turn(position, batch),
                before,
                batch,
            )
        gradients, (total, (terms, self.sides.state, seen)) = program(*before, _draw(draws, streams), *_parts(batch))
        name = self.first.players[position].name
        return list(gradients.values()), {"loss" if name == "model" else f"{name}/loss": total, **terms, **seen}

    def look(self, batch: Batch, streams: Sequence[LiveNoise]) -> Tensors:
        """Rates and distortions of every member on the same x (B, \\*event), (M, ...) each."""
        own, rest = self.sides.of_player(0)
        before = (own, rest, self.sides.shared)
        program, draws = self._program(
            ("look", batch.x.shape), lambda noise: self.first.model(batch, noise), self._sight(), before, batch
        )
        seen: Tensors = program(*before, _draw(draws, streams), *_parts(batch))
        return seen

    def _program(
        self, key: tuple[Any, ...], alone: Callable[[Noise], Any], stacked: Callable[..., Any], before: Any, batch: Batch
    ) -> tuple[Callable[..., Any], Draws]:
        if key not in self.programs:
            asking = _Asking(self.first.device)
            alone(asking)
            members = len(self.sides.members)
            example = tuple(torch.full((members, *shape), 0.5, device=asking.device) for _, shape in asking.asked)
            self.programs[key] = record(stacked, *before, example, *_parts(batch)), asking.asked
        return self.programs[key]

    def _lone_turn(self, position: int, batch: Batch, noise: Noise) -> Turn:
        """The first member's turn by itself."""
        x, index, y, weight = (None if part is None else part[0] for part in (batch.x, batch.index, batch.y, batch.weight))
        assert x is not None
        state = {name: value[0] for name, value in self.sides.state.items()}
        return self.first.players[position].loss(self.first.model, Batch(x, index, batch.epoch, y, weight), noise, state)

    def _turn(self, position: int, batch: Batch) -> Callable[..., Any]:
        player, model, pair = self.first.players[position], self.first.model, self.sides.pair

        def loss(own: Tensors, rest: Tensors, shared: Tensors, state: Tensors, draws: tuple[Tensor, ...], *parts: Any) -> Any:
            def work() -> Any:  # a pass is read in here too: its laws may still look up parameters
                turn = player.loss(model, _batch(*parts), ReplayedNoise(draws), state)
                seen = _reported(turn.seen) if player.name == "model" and turn.seen is not None else {}
                return turn.loss.total, (dict(turn.loss.terms), dict(turn.loss.state), seen)

            return functional_call(pair, {**own, **rest, **shared}, (work,))

        of_batch = (0, *(None if part is None else 0 for part in (batch.index, batch.y, batch.weight)), None)
        return vmap(grad_and_value(loss, has_aux=True), in_dims=(0, 0, None, 0, 0, *of_batch))

    def _sight(self) -> Callable[..., Any]:
        model, pair = self.first.model, self.sides.pair

        def sight(own: Tensors, rest: Tensors, shared: Tensors, draws: tuple[Tensor, ...], *parts: Any) -> Tensors:
            def work() -> Tensors:
                return _reported(model(_batch(*parts), ReplayedNoise(draws)))

            reported: Tensors = functional_call(pair, {**own, **rest, **shared}, (work,))
            return reported

        return vmap(sight, in_dims=(0, 0, None, 0, None, None, None, None, None))


class _Asking(Noise):
    """Notes down what is asked for and answers with a constant that every law can live with."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.asked: Draws = []

    def _answer(self, draw: Callable[..., Tensor], shape: tuple[int, ...]) -> Tensor:
        self.asked.append((draw, shape))
        return torch.full(shape, 0.5, device=self.device)

    def normal(self, shape: Any) -> Tensor:
        return self._answer(LiveNoise.normal, tuple(shape))

    def uniform(self, shape: Any) -> Tensor:
        return self._answer(LiveNoise.uniform, tuple(shape))

    def gumbel(self, shape: Any) -> Tensor:
        return self._answer(LiveNoise.gumbel, tuple(shape))


def _draw(draws: Draws, streams: Sequence[LiveNoise]) -> tuple[Tensor, ...]:
    """Each stream's own draws in the order asked for, stacked."""
    drawn = [[draw(stream, shape) for draw, shape in draws] for stream in streams]
    return tuple(torch.stack(values) for values in zip(*drawn, strict=True))


def _parts(batch: Batch) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None, Tensor]:
    """A batch as arguments of a program; the epoch is a tensor, so that it is no constant of the program."""
    return batch.x, batch.index, batch.y, batch.weight, torch.tensor(float(batch.epoch), device=batch.x.device)


def _batch(x: Tensor, index: Tensor | None, y: Tensor | None, weight: Tensor | None, epoch: Tensor) -> Batch:
    return Batch(x, index, epoch, y, weight)


def _reported(seen: Pass) -> Tensors:
    return {"rates": seen.mean(seen.rates).detach(), "distortion": seen.mean(seen.distortion).detach()}

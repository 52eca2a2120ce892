"""Adam for models side by side: one fused update of stacked parameters; norms, limits and learning rates are each model's own."""

import math
from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor

from ratelab.training.optimisers import Adam

MOMENTS = ("exp_avg", "exp_avg_sq")


class StackedAdam:
    """The optimisers of M models, which must have made the same number of steps, as one; their numbers may differ.

    ``stacked``: (M, \\*shape) for each parameter. Neighbours with the same numbers are updated as one. The members' own states
    become views of the stacked one, so that a member saves its state as if it were alone.
    """

    def __init__(self, members: Sequence[Adam], stacked: Sequence[Tensor]) -> None:
        self.normalise = members[0].normalise
        limits = [math.inf if member.clip is None else member.clip for member in members]
        self.clip = torch.tensor(limits, device=stacked[0].device) if min(limits) < math.inf else None
        self.rows = _neighbours(members)
        self.leaders = [members[rows.start] for rows in self.rows]
        self.parts = [[tensor[rows] for tensor in stacked] for rows in self.rows]
        options = [leader.inner.defaults for leader in self.leaders]
        self.inner = torch.optim.Adam(
            [{**own, "params": parts} for own, parts in zip(options, self.parts, strict=True)], fused=True
        )
        for position, tensor in enumerate(stacked):
            states = [member.inner.state[member.parameters[position]] for member in members]
            whole = _side_by_side(states, tensor)
            for rows, parts in zip(self.rows, self.parts, strict=True):
                own = {"step": whole["step"].clone(), **{name: whole[name][rows] for name in MOMENTS}}
                self.inner.state[parts[position]] = own
                for i, state in enumerate(states[rows]):
                    state.update(step=own["step"], **{name: own[name][i] for name in MOMENTS})

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Apply ``gradients``, (M, \\*shape) each, at the learning rate that each member has now."""
        if self.normalise:
            gradients = [g / (_norms(g) + 1e-7) for g in gradients]
        if self.clip is not None:
            whole = torch.stack([_norms(g).flatten() for g in gradients]).square().sum(0).sqrt()
            factor = (self.clip / (whole + 1e-6)).clamp(max=1.0)
            gradients = [g * factor.view(-1, *(1 for _ in g.shape[1:])) for g in gradients]
        for group, leader, rows, parts in zip(self.inner.param_groups, self.leaders, self.rows, self.parts, strict=True):
            group["lr"] = leader.inner.param_groups[0]["lr"]
            for part, gradient in zip(parts, gradients, strict=True):
                part.grad = gradient[rows]
        self.inner.step()
        self.inner.zero_grad(set_to_none=True)


def _neighbours(members: Sequence[Adam]) -> list[slice]:
    """Where members that lie beside each other have the same numbers and the same schedule."""
    numbers = [(member.inner.defaults, member.schedule) for member in members]
    groups = [list(group) for _, group in groupby(range(len(members)), key=numbers.__getitem__)]
    return [slice(group[0], group[-1] + 1) for group in groups]


def leave(optimiser: Adam) -> None:
    """Give a member's optimiser tensors of its own again."""
    for state in optimiser.inner.state.values():
        for name, value in state.items():
            state[name] = value.clone()


def _norms(gradient: Tensor) -> Tensor:
    """Each model's L2 norm, in a shape that broadcasts against the gradient."""
    return gradient.reshape(len(gradient), -1).norm(dim=1).view(-1, *(1 for _ in gradient.shape[1:]))


def _side_by_side(states: Sequence[dict[str, Tensor]], stacked: Tensor) -> dict[str, Tensor]:
    """The states of one parameter stacked; zeros where no step was made yet."""
    if not states[0]:
        step = torch.zeros((), dtype=torch.float32, device=stacked.device)
        return {"step": step, **{name: torch.zeros_like(stacked) for name in MOMENTS}}
    return {
        "step": states[0]["step"].clone(),
        **{name: torch.stack([state[name].contiguous() for state in states]) for name in MOMENTS},
    }

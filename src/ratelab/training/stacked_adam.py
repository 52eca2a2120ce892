"""Adam for models side by side: one fused update of stacked parameters; norms are taken for each model by itself."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ratelab.training.optimisers import Adam

MOMENTS = ("exp_avg", "exp_avg_sq")


class StackedAdam:
    """The optimisers of M models, which must have the same options and have made the same number of steps, as one.

    ``stacked``: (M, \\*shape) for each parameter. The members' own states become views of the stacked one, so that a
    member saves its state as if it were alone.
    """

    def __init__(self, members: Sequence[Adam], stacked: Sequence[Tensor]) -> None:
        first = members[0]
        self.stacked, self.normalise, self.clip = list(stacked), first.normalise, first.clip
        group = first.inner.param_groups[0]
        self.inner = torch.optim.Adam(self.stacked, lr=first.lr, betas=group["betas"], eps=group["eps"], fused=True)
        for position, tensor in enumerate(self.stacked):
            states = [member.inner.state[member.parameters[position]] for member in members]
            whole = _side_by_side(states, tensor)
            self.inner.state[tensor] = whole
            for i, state in enumerate(states):
                state.update(step=whole["step"], **{name: whole[name][i] for name in MOMENTS})

    def step(self, gradients: Sequence[Tensor], lr: float) -> None:
        """Apply ``gradients``, (M, \\*shape) each."""
        if self.normalise:
            gradients = [g / (_norms(g) + 1e-7) for g in gradients]
        if self.clip is not None:
            whole = torch.stack([_norms(g).flatten() for g in gradients]).square().sum(0).sqrt()
            factor = (self.clip / (whole + 1e-6)).clamp(max=1.0)
            gradients = [g * factor.view(-1, *(1 for _ in g.shape[1:])) for g in gradients]
        for group in self.inner.param_groups:
            group["lr"] = lr
        for tensor, gradient in zip(self.stacked, gradients, strict=True):
            tensor.grad = gradient
        self.inner.step()
        self.inner.zero_grad(set_to_none=True)


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

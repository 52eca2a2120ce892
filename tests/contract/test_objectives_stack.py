"""Every objective is a pure function of (parameters, hyper-parameters, state, batch, noise): three members of a stack as one."""

import pytest
import torch
from test_objectives import GIVEN
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from toys import batch_of, build

from ratelab.core.batch import Batch, LiveNoise, Noise, RecordedNoise, ReplayedNoise
from ratelab.core.model import Model
from ratelab.core.objective import Objective, Setting
from ratelab.objectives import OBJECTIVES


class Pair(nn.Module):
    """A model and its objective, whose turn is the forward pass."""

    def __init__(self, model: Model, objective: Objective) -> None:
        super().__init__()
        self.model, self.objective = model, objective

    def forward(self, batch: Batch, noise: Noise, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        loss = self.objective.turn(self.model, batch, noise, state).loss
        return loss.total, dict(loss.state)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_stack_of_three_equals_the_three_alone(name: str) -> None:
    members, draws, alone = [], [], []
    for seed in range(3):
        model, dataset = build("vae", seed)
        setting = Setting(model.event_shape, model.latent_shapes, 10, 60)
        chosen = OBJECTIVES.build(OBJECTIVES.resolve({"name": name, **GIVEN.get(name, {})}, "o"), setting)
        if not chosen.stacks:
            pytest.skip("says itself that it does not stack")
        member, noise, batch = Pair(model, chosen), RecordedNoise(LiveNoise(seed)), batch_of(dataset)
        loss, state = member(batch, noise, chosen.initial_state())
        loss.backward()
        alone.append((loss.detach(), state, {n: p.grad for n, p in member.named_parameters()}))
        members.append(member)
        draws.append(noise.draws)
    parameters, buffers = stack_module_state(members)
    stacked = tuple(torch.stack(d) for d in zip(*draws, strict=True))
    states = {n: torch.stack([m.objective.initial_state()[n] for m in members]) for n in alone[0][1]}

    def pure(parameters: dict, buffers: dict, draws: tuple, state: dict, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return functional_call(members[0], {**parameters, **buffers}, (Batch(x), ReplayedNoise(draws), state))

    run = vmap(grad_and_value(pure, has_aux=True), in_dims=(0, 0, 0, 0, None))
    gradients, (losses, following) = run(parameters, buffers, stacked, states, batch.x)
    for i, (loss, state, own) in enumerate(alone):
        assert torch.allclose(losses[i], loss, rtol=1e-4)
        for n, value in state.items():
            assert torch.allclose(following[n][i], value, rtol=1e-4), n
        for n, gradient in own.items():
            assert torch.allclose(gradients[n][i], torch.zeros(()) if gradient is None else gradient, rtol=1e-3, atol=1e-4), n

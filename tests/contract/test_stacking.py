"""The loss is a pure function of (parameters, hyper-parameters, batch, noise): four models that differ in weights and beta, as one."""

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from toys import batch_of, build

from ratelab.core.batch import Batch, LiveNoise, RecordedNoise, ReplayedNoise
from ratelab.core.objective import Setting
from ratelab.objectives import OBJECTIVES

BETAS = (0.1, 0.5, 1.0, 4.0)


class PureLoss(nn.Module):
    """A model and its objective as one module, so that weights and hyper-parameters are both arguments."""

    def __init__(self, model: nn.Module, objective: nn.Module) -> None:
        super().__init__()
        self.model, self.objective = model, objective

    def forward(self, batch: Batch, noise: ReplayedNoise) -> Tensor:
        seen = self.model(batch, noise, self.objective.samples)
        return self.objective.loss(seen, {}).total


CASES = [
    "vae",
    "hierarchy of two",
    "xiao2023",
    "xiao2023, ladder, grey levels",
    "vae, gated convolutions",
    "vae, iaf flow that sees x",
    "vae, planar flow",
    "vae, spline flow",
    "vae, maf marginal",
    "vae, flow and vamp",
    "vae, full covariance",
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["beta", "iwae"])
def test_a_stack_of_four_equals_the_four_alone(case: str, name: str) -> None:
    members, draws, alone = [], [], []
    for seed, beta in enumerate(BETAS):
        model, dataset = build(case, seed)
        setting = Setting(model.event_shape, model.latent_shapes, 10, 60)
        options = {"beta": beta} if name == "beta" else {"samples": 3}
        member = PureLoss(model, OBJECTIVES.build(OBJECTIVES.resolve({"name": name, **options}, "o"), setting))
        noise = RecordedNoise(LiveNoise(seed))
        batch = batch_of(dataset)
        loss = member(batch, noise)
        loss.backward()
        alone.append((loss.detach(), {n: p.grad for n, p in member.named_parameters()}))
        members.append(member)
        draws.append(noise.draws)
    parameters, buffers = stack_module_state(members)
    stacked_draws = tuple(torch.stack(d) for d in zip(*draws, strict=True))

    def pure(parameters: dict[str, Tensor], buffers: dict[str, Tensor], draws: tuple[Tensor, ...], x: Tensor) -> Tensor:
        return functional_call(members[0], {**parameters, **buffers}, (Batch(x), ReplayedNoise(draws)))

    gradients, losses = vmap(grad_and_value(pure), in_dims=(0, 0, 0, None))(parameters, buffers, stacked_draws, batch.x)
    for i, (loss, own) in enumerate(alone):
        assert torch.allclose(losses[i], loss, rtol=1e-5)
        for n, gradient in own.items():
            assert torch.allclose(gradients[n][i], gradient, rtol=1e-3, atol=1e-5), n
    if name == "beta":
        assert len({float(v) for v in buffers["objective.beta"]}) == 4

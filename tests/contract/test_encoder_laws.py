"""Laws that every encoder of the table obeys: its density is one in total, its draws follow it, a missing one is said to be missing."""

from itertools import product
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from toys import SMALL, flow

from ratelab.core.batch import LiveNoise
from ratelab.core.law import Law
from ratelab.distributions.one_hot import OneHot
from ratelab.encoders import ENCODERS

EVENT, EXAMPLES, DRAWS = (1, 4, 4), 2, 10_000
SOME = ("iaf-mean", "iaf", "real-nvp")  # the densities of all flows are integrated where flows are tested
CASES: dict[str, dict[str, Any]] = {
    **{name: {"name": name} for name in ENCODERS if name not in ("flow", "categorical")},
    "categorical": {"name": "categorical", "states": 3},
    **{f"{name} flow": {"name": "flow", "flow": flow(name), "steps": 2} for name in SOME},
    **{f"{name} flow that sees x": {"name": "flow", "flow": flow(name), "steps": 2, "context": 3} for name in SOME},
}
ALL = pytest.mark.parametrize("case", CASES)


def built(case: str, seed: int = 0) -> nn.Module:
    """An encoder in float64, away from where it starts."""
    torch.manual_seed(seed)
    latents = 6 if case == "categorical" else 2
    encoder: nn.Module = ENCODERS.build(ENCODERS.resolve({"network": SMALL, **CASES[case]}, "encoder"), EVENT, (latents,))
    with torch.no_grad():
        for p in encoder.parameters():
            p.add_(0.15 * torch.randn_like(p))
    return encoder.double().eval()


def examples() -> Tensor:
    return (LiveNoise(1, dtype=torch.float64).uniform((EXAMPLES, *EVENT)) < 0.4).double()


def noise(seed: int = 0) -> LiveNoise:
    return LiveNoise(seed, dtype=torch.float64)


def test_every_encoder_has_a_case() -> None:
    assert {node["name"] for node in CASES.values()} == set(ENCODERS)


@torch.no_grad()
def masses(law: Law, values: Tensor) -> Tensor:
    """exp log-density of (N, d) values for each example: (N, examples)."""
    return law.log_prob(values.unsqueeze(1).expand(-1, EXAMPLES, -1)).exp()


@ALL
@torch.no_grad()
def test_the_density_given_x_is_one_in_total_and_draws_follow_it(case: str) -> None:
    law = built(case)(examples())
    if not law.abilities.density:
        return
    drawn = law.draw(noise(2), DRAWS).value
    if isinstance(law, OneHot):
        corners = torch.stack([torch.eye(3)[list(pair)].flatten() for pair in product(range(3), repeat=2)]).double()
        probabilities = masses(law, corners)
        counts = (drawn.unsqueeze(0) == corners[:, None, None]).all(-1).sum(1)
        for b in range(EXAMPLES):
            assert float(probabilities[:, b].sum()) == pytest.approx(1.0, abs=1e-9)
            assert stats.chisquare(counts[:, b].numpy(), DRAWS * probabilities[:, b].numpy()).pvalue > 1e-5
        return
    side = torch.linspace(-9, 9, 145, dtype=torch.float64)
    middles = 0.5 * (side[1:] + side[:-1])
    mass = masses(law, torch.cartesian_prod(middles, middles)) * float(side[1] - side[0]) ** 2
    for b in range(EXAMPLES):
        assert float(mass[:, b].sum()) == pytest.approx(1.0, abs=2e-3)
        cells = mass[:, b].reshape(36, 4, 36, 4).sum((1, 3))
        seen = torch.histogramdd(drawn[:, b].contiguous(), bins=36, range=[-9.0, 9.0, -9.0, 9.0]).hist
        often = cells * DRAWS > 10
        expected = torch.cat([cells[often], (1 - cells[often].sum()).clamp(min=1e-9).reshape(1)]) * DRAWS
        counts = torch.cat([seen[often], DRAWS - seen[often].sum().reshape(1)])
        freedom = len(expected) - 1
        assert float(((counts - expected).square() / expected).sum()) < freedom + 6 * (2 * freedom) ** 0.5


@ALL
def test_a_draws_own_score_is_the_laws(case: str) -> None:
    law = built(case)(examples())
    value, scored = law.draw(noise(), 4)
    again = law.log_prob(value.clone())
    assert scored is None or torch.allclose(scored, again, equal_nan=True)
    assert bool(again.isfinite().all()) == law.abilities.density


@ALL
def test_the_law_of_an_example_does_not_depend_on_the_others(case: str) -> None:
    encoder, x = built(case), examples()
    whole, alone = encoder(x), encoder(x[:1])
    assert torch.allclose(whole.mean[:1], alone.mean)
    value = alone.draw(noise(), 5).value
    together = whole.log_prob(value.expand(-1, EXAMPLES, -1))[:, :1]
    assert torch.allclose(together, alone.log_prob(value), equal_nan=True)


@ALL
def test_weights_alone_make_the_encoder(case: str) -> None:
    encoder, twin = built(case, 0), built(case, 1)
    twin.load_state_dict(encoder.state_dict())
    assert torch.equal(encoder(examples()).draw(noise(), 3).value, twin(examples()).draw(noise(), 3).value)

"""Under bfloat16 autocast networks are rounded and nothing else: latents stay float32, and densities are scored as without it."""

import pytest
import torch
from toys import CASES, ENUMERATED, batch_of, build

from ratelab.core.batch import LiveNoise
from ratelab.core.law import Law
from ratelab.distributions.autoregressive import Autoregressive
from ratelab.distributions.repeated import Repeated
from ratelab.divergences.mmd import squared_distances


def bf16() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16, cache_enabled=False)


def assert_scored_alike(law: Law, value: torch.Tensor, what: str) -> None:
    fresh = value + 0  # a law may remember the very tensor that it drew
    plain = law.log_prob(fresh)
    with bf16():
        scored = law.log_prob(fresh)
    assert scored.dtype == torch.float32, what
    assert torch.allclose(scored, plain, rtol=1e-6, atol=1e-6, equal_nan=True), what


@pytest.mark.parametrize("case", [case for case in CASES if case not in ENUMERATED])
def test_a_pass_reports_in_float32_and_its_laws_score_as_without_autocast(case: str) -> None:
    model, dataset = build(case)
    with bf16():
        seen = model(batch_of(dataset), LiveNoise(0))
        seen_rates, seen_distortion = seen.closed_rates, seen.distortion
    for value in (seen_rates, seen_distortion, seen.rates, *(layer.z for layer in seen.layers)):
        assert value.dtype == torch.float32
    for layer in seen.layers:
        for law in (layer.encoder, layer.marginal):
            if law is not None:
                assert_scored_alike(law, layer.z.detach(), f"{case}: {type(law).__name__}")
    assert seen.decoder is not None
    if not isinstance(seen.decoder, (Autoregressive, Repeated)):  # whose score is a pass through a network
        assert_scored_alike(seen.decoder, seen.target, f"{case}: {type(seen.decoder).__name__}")


def test_draws_and_distances_keep_their_precision() -> None:
    for case in ("vae, full covariance", "vae, iaf flow"):
        model, dataset = build(case)
        law = model.encode(batch_of(dataset).x)
        plain = law.draw(LiveNoise(1)).value
        with bf16():
            drawn = law.draw(LiveNoise(1)).value
        assert torch.equal(drawn, plain), case
    a, b = torch.randn(2, 9, 4).unbind()
    with bf16():
        assert torch.equal(squared_distances(a, b), squared_distances(a, b).float())
        rounded = squared_distances(a, b)
    assert torch.equal(rounded, squared_distances(a, b))

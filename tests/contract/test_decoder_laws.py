"""Laws that every decoder of the table obeys, on data it says it can score."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from toys import SMALL, binary_images, grey_images

from ratelab.core.batch import MODE, LiveNoise
from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.errors import UserError
from ratelab.decoders import DECODERS
from ratelab.models import MODELS

SHAPE, LATENTS = (1, 4, 4), (3,)
TINY: dict[str, Any] = {"features": 6, "layers": 1}
CASES: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "bernoulli": ({"name": "bernoulli", "network": SMALL}, SHAPE),
    "gaussian": ({"name": "gaussian", "network": SMALL}, SHAPE),
    "categorical": ({"name": "categorical", "network": SMALL}, (2, 4, 4)),
    "categorical, table": ({"name": "categorical", "network": SMALL}, (5,)),
    "quantised-normal": ({"name": "quantised-normal", "network": SMALL}, (3, 4, 4)),
    "quantised-normal, fixed": ({"name": "quantised-normal", "network": SMALL, "sigma": 0.1}, SHAPE),
    "discretised-logistic": ({"name": "discretised-logistic", "network": SMALL}, (3, 4, 4)),
    "discretised-logistic, lower edge": ({"name": "discretised-logistic", "network": SMALL, "bins": "lower-edge"}, (5,)),
    "discretised-logistic, own scales": ({"name": "discretised-logistic", "network": SMALL, "scale": "network"}, (3, 4, 4)),
    "discretised-logistic, fixed": ({"name": "discretised-logistic", "network": SMALL, "scale": 0.2, "fallback": True}, SHAPE),
    "logistic-mixture": ({"name": "logistic-mixture", "network": SMALL}, (3, 4, 4)),
    "logistic-mixture, grey": ({"name": "logistic-mixture", "network": SMALL, "components": 3, "fallback": True}, SHAPE),
    "pixelcnn++": ({"name": "pixelcnn++", **TINY}, SHAPE),
    "pixelcnn++, unshifted": ({"name": "pixelcnn++", **TINY, "layers": 2, "unshifted": True, "all_skips": False}, SHAPE),
    "pixelcnn++, colours": ({"name": "pixelcnn++", **TINY, "pixels": "logistic-mixture"}, (3, 4, 8)),
    "gated-pixelcnn": ({"name": "gated-pixelcnn", **TINY, "network": SMALL}, (1, 3, 5)),
    "gated-pixelcnn, levels": ({"name": "gated-pixelcnn", **TINY, "network": SMALL, "pixels": "categorical"}, (2, 3, 3)),
}
ALL = pytest.mark.parametrize("case", CASES)


def build(case: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    node, shape = CASES[case]
    return DECODERS.build(DECODERS.resolve(node, "decoder"), LATENTS, shape)


def latents(*lead: int) -> Tensor:
    return torch.randn(*lead, *LATENTS, generator=torch.Generator().manual_seed(1))


def test_every_decoder_of_the_table_has_a_case() -> None:
    assert {node["name"] for node, _ in CASES.values()} == set(DECODERS)


@ALL
def test_draws_have_the_events_shape_and_lie_where_the_decoder_scores(case: str) -> None:
    decoder, shape = build(case), CASES[case][1]
    law = decoder(latents(2, 3))
    assert (law.batch_shape, law.event_shape) == ((2, 3), shape)
    once, several = law.draw(LiveNoise(0)).value, law.draw(LiveNoise(0), 4).value
    assert tuple(once.shape) == (2, 3, *shape)
    assert tuple(several.shape) == (4, 2, 3, *shape)
    assert torch.equal(once, law.draw(LiveNoise(0)).value)
    assert law.log_prob(several).shape == (4, 2, 3)
    assert law.mean.shape == (2, 3, *shape)
    assert law.draw(MODE).value.shape == (2, 3, *shape)
    if Support.REAL in decoder.scores:
        return
    levels = several * (1 if decoder.scores == {Support.BINARY} else 255)
    assert torch.allclose(levels, levels.round(), atol=1e-4)
    assert several.min() >= 0
    assert several.max() <= 1
    assert ((law.mean >= 0) & (law.mean <= 1)).all()


@ALL
def test_an_example_is_scored_under_every_sample_of_z_as_if_alone(case: str) -> None:
    decoder = build(case)
    z = latents(3, 4)
    x = decoder(z[0]).draw(LiveNoise(0)).value
    together = decoder(z).log_prob(x)
    assert together.shape == (3, 4)
    for k in range(3):
        for b in range(4):
            assert torch.allclose(together[k, b], decoder(z[k, b]).log_prob(x[b]), rtol=1e-5, atol=1e-4)


@ALL
def test_units_add_up_to_the_whole(case: str) -> None:
    law = build(case)(latents(2))
    x = law.draw(LiveNoise(0)).value
    units = law.unit_log_prob(x)
    if units is not None:
        assert torch.allclose(units.flatten(1).sum(1), law.log_prob(x), atol=1e-3)


@ALL
def test_the_detached_twin_scores_the_same_and_passes_no_gradient(case: str) -> None:
    law = build(case)(latents(2))
    x = law.draw(LiveNoise(0)).value.detach()
    twin = law.detached()
    assert torch.allclose(twin.log_prob(x), law.log_prob(x))
    assert law.log_prob(x).requires_grad
    assert not twin.log_prob(x).requires_grad
    assert torch.equal(twin.draw(LiveNoise(3)).value, law.draw(LiveNoise(3)).value)


@ALL
def test_gradients_reach_every_parameter_and_z_and_are_finite_at_the_start(case: str) -> None:
    decoder, z = build(case), latents(4).requires_grad_()
    law = decoder(z)
    law.log_prob(law.draw(LiveNoise(0)).value.detach()).sum().backward()
    assert z.grad is not None
    assert z.grad.abs().sum() > 0
    for name, p in decoder.named_parameters():
        assert p.grad is not None, name
        assert p.grad.isfinite().all(), name


@ALL
def test_gradients_stay_finite_for_values_the_law_finds_absurd(case: str) -> None:
    decoder = build(case)
    for value in (0.0, 1.0):
        for scale in (1.0, 1000.0):
            law = decoder(scale * latents(4))
            total = law.log_prob(torch.full((4, *CASES[case][1]), value))
            assert total.isfinite().all()
            decoder.zero_grad()
            total.sum().backward()
            assert all(p.grad is not None and p.grad.isfinite().all() for p in decoder.parameters())


@ALL
def test_float32_stays_near_float64(case: str) -> None:
    decoder, z = build(case), latents(4)
    x = decoder(z).draw(LiveNoise(0)).value
    single = decoder(z).log_prob(x)
    double = decoder.double()(z.double()).log_prob(x.double())
    assert torch.allclose(single.double(), double, rtol=1e-4, atol=1e-3)


@ALL
def test_weights_alone_make_the_decoder(case: str) -> None:
    decoder, twin = build(case, 0), build(case, 1)
    twin.load_state_dict(decoder.state_dict())
    x = decoder(latents(4)).draw(LiveNoise(0)).value
    assert torch.equal(decoder(latents(4)).log_prob(x), twin(latents(4)).log_prob(x))


def real_images() -> Dataset:
    x = np.random.default_rng(0).standard_normal((20, 1, 8, 8)).astype(np.float32)
    return Dataset("real images", Support.REAL, Split(x), Split(x), Split(x))


DATA = {Support.BINARY: binary_images, Support.LEVELS: grey_images, Support.REAL: real_images}


@pytest.mark.parametrize("support", DATA)
@pytest.mark.parametrize("name", DECODERS)
def test_data_that_a_decoder_cannot_score_is_refused_before_training_with_advice_that_works(
    name: str, support: Support
) -> None:
    def vae(decoder: dict[str, Any]) -> None:
        MODELS.build(MODELS.resolve({"name": "vae", "latent_dim": 2, "decoder": decoder}, "model"), DATA[support]())

    small = {"features": 2} if name in ("pixelcnn++", "gated-pixelcnn") else {}
    given = {"name": name, **small}
    if support in DECODERS.build(DECODERS.resolve(given, "decoder"), (2,), (1, 8, 8)).scores:
        vae(given)
        return
    with pytest.raises(UserError, match=f"model.decoder: '{re.escape(name)}' scores .* but '.*' is {support.value}") as caught:
        vae(given)
    assert "\n" not in str(caught.value)
    _, advice = str(caught.value).split(";", 1)
    advised = [word for word in advice.split(", ")[0].split("'") if word in DECODERS]
    assert advised
    for other in advised:
        vae({"name": other})

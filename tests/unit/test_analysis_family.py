"""Labels: short, human, and different where the runs are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratelab.analysis.family import distinguish, families, flat, names

MODELS = [
    {"name": "vae", "latent_dim": d, "decoder": {"name": n, "hidden": h}}
    for d in (8, 16)
    for n in ("mlp", "conv")
    for h in ([64], [64, 64])
]


def _recipe(model: object, **objective: object) -> dict[str, object]:
    return {"data": "digits", "model": model, "objective": {"name": "beta", "beta": 1.0, **objective}}


def test_one_family_is_called_by_its_model() -> None:
    assert families([_recipe(MODELS[0], beta=b) for b in (0.1, 1.0)], [1, 1]) == ["vae", "vae"]


def test_labels_hold_only_what_differs() -> None:
    assert families([_recipe(MODELS[0]), _recipe(MODELS[2])], [1, 1]) == ["vae, mlp", "vae, conv"]
    assert families([_recipe(MODELS[0]), _recipe(MODELS[4])], [1, 1]) == ["vae, latent dim 8", "vae, latent dim 16"]


def test_no_hidden_layers_are_none() -> None:
    models = [{"name": "vae", "hidden": hidden} for hidden in ([], [64])]
    assert families([_recipe(model) for model in models], [1, 1]) == ["vae, hidden none", "vae, hidden 64"]


def test_a_detail_that_follows_from_another_is_left_out() -> None:
    small, large = ({"name": "vae", "decoder": {"name": n, "width": w}} for n, w in (("mlp", 10), ("conv", 20)))
    assert families([_recipe(small), _recipe(large)], [1, 1]) == ["vae, mlp", "vae, conv"]


def test_the_same_word_in_two_places_says_where() -> None:
    models = [{"name": "vae", "encoder": e, "decoder": d} for e, d in (("mlp", "mlp"), ("mlp", "conv"), ("conv", "mlp"))]
    labels = families([_recipe(m) for m in models], [1] * 3)
    assert labels == [
        "vae, decoder mlp, encoder mlp",
        "vae, decoder conv, encoder mlp",
        "vae, decoder mlp, encoder conv",
    ]


def test_the_objective_tells_families_apart() -> None:
    assert families([_recipe("vae"), {**_recipe("vae"), "objective": "iwae"}], [1, 1]) == ["vae, beta", "vae, iwae"]


@given(st.lists(st.sampled_from(MODELS), min_size=1, max_size=8))
def test_labels_are_equal_exactly_where_the_models_are(models: list[dict[str, object]]) -> None:
    words = [tuple(w) for w in distinguish([flat(m) for m in models])]
    for a, one in zip(words, models, strict=True):
        for b, other in zip(words, models, strict=True):
            assert (a == b) == (one == other)


@pytest.mark.parametrize("split", [{"seed": 1}, {"binary": True}])
def test_data_sets_of_one_name_are_told_apart(split: dict[str, object]) -> None:
    one, other = names([{"name": "digits"}, {"name": "digits", **split}])
    assert one == "digits"
    assert other.startswith("digits, ")

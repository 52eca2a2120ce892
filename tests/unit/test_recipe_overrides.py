"""``key=value``: what it changes, and how wrong keys are answered."""

from typing import Any

import pytest
from tiny_runs import TINY, tiny

from ratelab.core.errors import UserError
from ratelab.runs.override import Override, apply, parse_values, split_assignment


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("objective.beta=0.5", ("objective", "beta"), 0.5),
        ("optimiser.lr=1e-3", ("optimiser", "lr"), 1e-3),
        ("title=a=b", ("title",), "a=b"),
        ("title=on", ("title",), "on"),
        ("training.early_stopping=null", ("training", "early_stopping"), None),
        ("objective={name: beta, beta: 2}", ("objective",), {"name": "beta", "beta": 2}),
    ],
)
def test_values_are_yaml(text: str, path: tuple[str, ...], value: Any) -> None:
    found, written = split_assignment(text)
    assert (found, parse_values([written], text)) == (path, [value])


@pytest.mark.parametrize("text", ["objective.beta", "=3", "a..b=1", ".a=1", "a.=1", ""])
def test_what_is_no_assignment_is_said_so(text: str) -> None:
    with pytest.raises(UserError, match=r"expected key=value, e\.g\. objective\.beta=0\.5"):
        split_assignment(text)


def test_the_given_recipe_is_left_alone() -> None:
    given = {"objective": {"name": "beta", "beta": 1.0}}
    assert apply(given, Override(("objective", "beta"), 2))["objective"]["beta"] == 2
    assert given == {"objective": {"name": "beta", "beta": 1.0}}


def test_bare_names_and_defaults_on_the_way_are_written_out() -> None:
    short = {**TINY, "model": "vae"}
    assert {"name": "beta", "beta": 2.0, "annealing": 0.0}.items() <= tiny("objective.beta=2").objective.items()
    model = tiny("model.encoder.network.hidden=[8]", "model.decoder.network.hidden=[4]", base=short).model
    assert model["encoder"]["network"]["hidden"] == (8,)
    assert model["decoder"]["network"]["hidden"] == (4,)
    assert tiny("training.early_stopping.patience=7").training.early_stopping.patience == 7  # type: ignore[union-attr]
    assert tiny("data.limit=9", base={**TINY, "data": "digits"}).data["limit"] == 9


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model.encoder.network.hidden.9=8", "model.encoder.network.hidden is a list of {n} and has no key '9'; give it whole"),
        ("model.encoder.network.hidden.x=8", "model.encoder.network.hidden is a list of {n} and has no key 'x'; give it whole"),
        ("seed.x=8", "seed is the value 1 and has no key 'x'"),
        ("model.latent_dim.x=8", "model.latent_dim is the value 2 and has no key 'x'"),
        ("objective.betta=8", "objective.betta: unknown key 'betta'; did you mean 'beta'?"),
        ("objectiv.beta=8", "unknown key 'objectiv'; did you mean 'objective'?"),
        ("rate=8", "unknown key 'rate'; did you mean 'objective.rate'?"),
        ("objective.beta=[0.5, -2]", "objective.beta.1: must be greater than or equal to 0; got -2"),
        ("model.encodr.network=mlp", "model.encodr: unknown key 'encodr'; did you mean 'encoder'?"),
        ("objective.beta=[1", "'objective.beta=[1'"),
    ],
)
def test_keys_that_lead_nowhere_are_answered(text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        tiny(text, base={**TINY, "seed": 1})
    assert said.format(n=len(tiny(base=TINY).model["encoder"]["network"]["hidden"])) in str(caught.value)


def test_a_position_in_a_list_is_a_key() -> None:
    base = {**TINY, "objective": {"name": "beta", "beta": [0.5, 2.0]}}
    assert tiny(
        "objective.beta.1=4", base={**base, "model": {**TINY["model"], "name": "hierarchy", "latent_dim": [1, 2]}}
    ).objective["beta"] == (0.5, 4)

"""Recipes at another size, and recipes made of other recipes."""

from pathlib import Path

import pytest

from ratelab.core.errors import UserError
from ratelab.runs.grid import expand, single
from ratelab.runs.shelf import read_recipe, shipped, tiers
from ratelab.runs.tier import with_parts

TIER = """
keys: {training.epochs: 3}
parts: {mlp: {hidden: [8]}, beta: {beta: 0.5}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "one.yaml").write_text("data: digits\nmodel: vae\ntraining: {epochs: 50, batch_size: 7}\n")
    (tmp_path / "two.yaml").write_text("data: digits\nmodel: {name: vae, latent_dim: 2}\nparts: {mlp: {hidden: [9]}}\n")
    (tmp_path / "both.yaml").write_text(
        "training: {epochs: 20}\n"
        "families: [{title: a, recipe: one.yaml}, {title: b, recipe: two.yaml, model.latent_dim: 5}]\n"
        "sweep: {seed: [1, 2]}\n"
    )
    (tmp_path / "tiny.tier.yaml").write_text(TIER)
    return tmp_path


def test_a_tier_changes_parts_by_what_they_are_wherever_they_stand(folder: Path) -> None:
    whole, tiny = (single(read_recipe(f"{folder}/one.yaml{at}")) for at in ("", "@tiny"))
    assert whole.model["encoder"]["network"]["hidden"] != (8,)
    assert tiny.model["encoder"]["network"]["hidden"] == tiny.model["decoder"]["network"]["hidden"] == (8,)
    assert tiny.objective["beta"] == 0.5
    assert (tiny.training.epochs, tiny.training.batch_size) == (3, 7)
    assert tiny.key() != whole.key()


def test_what_is_typed_has_the_last_word_over_a_tier(folder: Path) -> None:
    typed = ["model.encoder.network.hidden=[4,4]", "training.epochs=2", "objective.beta=3"]
    run = single(read_recipe(f"{folder}/one.yaml@tiny"), typed)
    assert run.model["encoder"]["network"]["hidden"] == (4, 4)
    assert run.model["decoder"]["network"]["hidden"] == (8,)
    assert (run.training.epochs, run.objective["beta"]) == (2, 3.0)


def test_a_family_may_be_another_recipe_whose_sections_this_one_replaces(folder: Path) -> None:
    runs = expand(read_recipe(folder / "both.yaml"))
    assert [(run.title, run.seed, run.model["latent_dim"]) for run in runs] == [
        ("a", 1, 16),
        ("a", 2, 16),
        ("b", 1, 5),
        ("b", 2, 5),
    ]
    assert {(run.training.epochs, run.training.batch_size) for run in runs} == {(20, 100)}
    assert [run.model["encoder"]["network"]["hidden"] for run in runs[1:3]][1] == (9,)


def test_a_tier_reaches_the_families_of_a_recipe(folder: Path) -> None:
    runs = expand(read_recipe(f"{folder}/both.yaml@tiny"))
    assert {run.model["decoder"]["network"]["hidden"] for run in runs} == {(8,)}
    assert {run.training.epochs for run in runs} == {3}


def test_a_part_that_no_option_mentions_is_changed_where_it_is_the_default() -> None:
    made = with_parts({"data": "digits", "model": "vae"}, {"mlp": {"hidden": [3]}})
    assert made["model"]["encoder"] == {"name": "gaussian", "network": {"name": "mlp", "hidden": [3]}}
    untouched = {"data": "digits", "model": {"name": "vae", "encoder": "gaussian"}}
    assert with_parts(untouched, {"conv": {"width": 3}}) == untouched


@pytest.mark.parametrize(
    ("tier", "said"),
    [
        ("parts: {cnov: {width: 8}}", "parts: nothing is called 'cnov'; did you mean 'conv'?"),
        ("parts: {conv: 8}", "parts: expected entries and their options"),
        ("recipes: one", "recipes: expected a list of names"),
        ("keys: [1]", "keys: expected keys and values"),
        ("training: {epochs: 1}", "a tier has 'keys', 'parts' and 'recipes'"),
        ("parts: {mlp: {hiden: [8]}}", "unknown key 'hiden'; did you mean 'hidden'?"),
        ("keys: {training.epoch: 3}", "unknown key 'epoch'; did you mean 'epochs'?"),
    ],
)
def test_a_mistake_in_a_tier_is_one_line(folder: Path, tier: str, said: str) -> None:
    (folder / "tiny.tier.yaml").write_text(tier)
    with pytest.raises(UserError) as caught:
        expand(read_recipe(f"{folder}/one.yaml@tiny"))
    assert said in str(caught.value)
    assert "tiny" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_tier_is_for_the_recipes_it_names(folder: Path) -> None:
    (folder / "tiny.tier.yaml").write_text("recipes: [t*]\n" + TIER)
    assert expand(read_recipe(f"{folder}/two.yaml@tiny"))
    with pytest.raises(UserError, match="comes in no tier 'tiny'"):
        read_recipe(f"{folder}/one.yaml@tiny")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("alemi2018/minus-plus-vamp@smal", "comes in no tier 'smal'; did you mean 'small'?"),
        ("digits/vae@small", "comes in no tier 'small': no *.tier.yaml beside it is meant for it"),
        ("alemi2018/minus-plus-wamp@small", "did you mean 'alemi2018/minus-plus-vamp'?"),
    ],
)
def test_a_tier_that_is_not_there_is_said_so(name: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        read_recipe(name)
    assert said in str(caught.value)


def test_a_family_of_several_runs_is_refused(folder: Path) -> None:
    (folder / "three.yaml").write_text("families: [{recipe: both.yaml}]\n")
    with pytest.raises(UserError, match="describes several runs itself"):
        expand(read_recipe(folder / "three.yaml"))


def test_tiers_are_no_recipes_and_every_recipe_comes_in_those_of_its_folder() -> None:
    assert not any("tier" in name for name in shipped())
    assert tiers("alemi2018/minus-plus-vamp") == ["small"]
    assert tiers("digits/vae") == tiers("alemi2018/toy_elbo") == []
    for name in shipped():
        for tier in tiers(name):
            assert expand(read_recipe(f"{name}@{tier}"))

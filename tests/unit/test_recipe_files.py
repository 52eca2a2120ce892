"""Recipes as text: YAML 1.2, files and shipped names."""

import math
from pathlib import Path
from typing import Any

import pytest

from ratelab.core.errors import UserError
from ratelab.runs.grid import expand
from ratelab.runs.shelf import from_mapping, read_recipe, shipped
from ratelab.runs.yaml12 import parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1E5", 1e5),
        ("-.5", -0.5),
        (".5", 0.5),
        ("2.", 2.0),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("12", 12),
        ("-7", -7),
        ("0o17", 15),
        ("0x1f", 31),
        ("017", 17),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("true", True),
        ("False", False),
        ("on", "on"),
        ("no", "no"),
        ("yes", "yes"),
        ("off", "off"),
        ("y", "y"),
        ("2024-01-01", "2024-01-01"),
        ("null", None),
        ("~", None),
        ("", None),
        ("'1e-3'", "1e-3"),
        ("nul", "nul"),
        ("1e", "1e"),
        ("[1, a]", [1, "a"]),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
    ],
)
def test_plain_words_are_read_by_the_rules_of_yaml_1_2(text: str, value: Any) -> None:
    got = parse(text, "here")
    assert got == value
    assert type(got) is type(value)


def test_nan_is_a_number() -> None:
    assert math.isnan(parse(".nan", "here"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3", "here, line 3: the key 'a' is given twice"),
        ("a: {b: 1, b: 2}", "the key 'b' is given twice"),
        ("a: [1", "here, line 1: "),
        ("a: b: c", "here, line 1: mapping values are not allowed here"),
        ("1: a", "the key 1 is no word"),
        ("? [a]\n: b", "is no word"),
        ("a: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("a: &x [*x]", "recursive"),
        ("a\x00b", "no valid YAML"),
        ("\t- a", "here, line 1"),
    ],
)
def test_what_is_no_yaml_is_said_with_its_line(text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(text, "here")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_shipped_recipe_resolves() -> None:
    names = shipped()
    assert {"digits/demo", "digits/vae", "digits/hierarchy", "alemi2018/minus-minus-normal"} <= set(names)
    for name in names:
        assert expand(read_recipe(name))


def test_the_demo_sweeps_two_families_over_the_whole_plane() -> None:
    runs = expand(read_recipe("digits/demo"))
    for model in ("vae", "hierarchy"):
        betas = sorted(run.objective["beta"] for run in runs if run.model["name"] == model)
        assert len(betas) >= 10
        assert betas[-1] / betas[0] >= 30


def test_a_file_is_read_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("data: digits\nmodel: vae\nsweep: {seed: [1, 2]}\n")
    assert [run.seed for run in expand(read_recipe(path))] == [1, 2]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("digits/dem", "no recipe 'digits/dem': neither a file nor a shipped one; did you mean 'digits/demo'?"),
        ("none.yaml", "no recipe file 'none.yaml'; give a .yaml file or the name of a shipped recipe"),
    ],
)
def test_a_recipe_that_is_not_there_is_said_so(name: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        read_recipe(name)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"- a\n", "a recipe is a mapping"),
        (b"", "a recipe is a mapping"),
        (b"\xff\xfe\x00", "no text in UTF-8"),
        (b"data: digits\ndata: digits\n", "line 2: the key 'data' is given twice"),
        (b"data: digits\nmodel: vae\nsweep: [1]\n", "sweep: expected keys and lists"),
        (b"data: digits\nmodel: vae\nfamilies: {a: 1}\n", "families: expected a list of mappings"),
        (b"data: digits\nmodel: vae\nobjectiv: beta\n", "unknown key 'objectiv'; did you mean 'objective'?"),
        (b"data: digits\n", "model: this key is required, e.g. 'model: vae'"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_name(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        expand(read_recipe(path))
    assert str(caught.value).startswith(str(path))
    assert said in str(caught.value)


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no recipe file"):
        read_recipe(tmp_path)


def test_a_recipe_may_come_from_python() -> None:
    assert expand(from_mapping({"data": "digits", "model": "vae"}, "mine"))[0].objective["name"] == "beta"

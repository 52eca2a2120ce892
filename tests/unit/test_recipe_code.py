"""Recipes that name code of the user's own: gated, found, and part of the identity."""

import sys
from pathlib import Path

import pytest
from tiny_runs import tiny

from ratelab.core.errors import UserError
from ratelab.runs.code import code_digests, named_code

CODE = """from torch import nn

print('imported')


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten())
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    path = tmp_path / "own_network.py"
    path.write_text(CODE)
    return path


def recipe(code: str = "own_network:Net") -> dict[str, object]:
    return tiny(f"model.encoder.network={{name: custom, code: '{code}'}}").document()


def test_all_named_code_is_found() -> None:
    assert list(named_code(recipe())) == ["own_network:Net"]
    assert list(named_code(tiny().document())) == []


def test_code_is_refused_unless_allowed_and_never_imported_before(module: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        UserError, match=r"runs code of its own \(own_network:Net\); read that code, then allow it with --allow-code"
    ):
        code_digests(recipe(), allow_code=False)
    assert capsys.readouterr().out == ""
    assert "own_network" not in sys.modules


def test_the_content_of_the_code_is_its_digest(module: Path) -> None:
    first = code_digests(recipe(), allow_code=True)
    assert list(first) == ["own_network"]
    module.write_text(CODE + "# changed\n")
    second = code_digests(recipe(), allow_code=True)
    assert first != second
    assert tiny().identity("d", first) != tiny().identity("d", second)


def test_recipes_without_code_need_no_permission() -> None:
    assert code_digests(tiny().document(), allow_code=False) == {}


@pytest.mark.parametrize("code", ["no_such_module:Net", "no_such.module:Net", "sys:Net"])
def test_code_that_is_not_there_is_named(code: str) -> None:
    with pytest.raises(UserError, match=f"custom code '{code.split(':')[0]}'"):
        code_digests(recipe(code), allow_code=True)

"""Recipes as files: the user's own by path, the shipped ones by name (``digits/demo``)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from ratelab.core.errors import UserError, nearest
from ratelab.runs.yaml12 import parse


@dataclass(frozen=True)
class RecipeFile:
    """A recipe as written. ``base``: its sections; ``sweep``: key -> values; ``families``: mappings of keys to values.

    ``folder``: where its paths are looked for first.
    """

    source: str
    base: Mapping[str, Any]
    sweep: Mapping[str, Any] = field(default_factory=dict)
    families: tuple[Mapping[str, Any], ...] = ()
    folder: Path = Path()


def shipped() -> dict[str, Traversable]:
    """The recipes that come with RateLab, by name."""
    shelf = files("ratelab").joinpath("recipes")
    return dict(sorted(_below(shelf, ""))) if shelf.is_dir() else {}


def _below(folder: Traversable, prefix: str) -> list[tuple[str, Traversable]]:
    found: list[tuple[str, Traversable]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _below(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".yaml"):
            found.append((prefix + entry.name.removesuffix(".yaml"), entry))
    return found


def read_recipe(name: str | Path) -> RecipeFile:
    """The recipe in a file, or the shipped one of that name; :class:`UserError` where there is none or it is no recipe."""
    path, known = Path(name), shipped()
    if str(name) in known and not path.is_file():
        return _parsed(known[str(name)], str(name))
    if path.is_file():
        return replace(_parsed(path, str(path)), folder=path.parent)
    if path.suffix in {".yaml", ".yml"} or path.is_dir():
        raise UserError(f"no recipe file '{name}'; give a .yaml file or the name of a shipped recipe, e.g. digits/demo")
    raise UserError(f"no recipe '{name}': neither a file nor a shipped one{nearest(str(name), known)}")


def _parsed(file: Traversable, source: str) -> RecipeFile:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read {source}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise UserError(f"{source}: no text in UTF-8; give a recipe in YAML") from None
    return from_mapping(parse(text, source), source)


def from_mapping(document: Any, source: str) -> RecipeFile:
    """Take a recipe's ``sweep`` and ``families`` apart from its sections."""
    if not isinstance(document, Mapping):
        raise UserError(f"{source}: a recipe is a mapping with the keys data, model, ...; see 'ratelab list recipes'")
    base = {key: value for key, value in document.items() if key not in {"sweep", "families"}}
    sweep, families = document.get("sweep") or {}, document.get("families") or []
    if not isinstance(sweep, Mapping):
        raise UserError(f"{source}: sweep: expected keys and lists, e.g. sweep: {{objective.beta: [0.5, 1]}}")
    if not isinstance(families, list) or not all(isinstance(family, Mapping) and family for family in families):
        raise UserError(
            f"{source}: families: expected a list of mappings, e.g. families: [{{model: vae}}, {{model: hierarchy}}]"
        )
    return RecipeFile(source, base, sweep, tuple(families))

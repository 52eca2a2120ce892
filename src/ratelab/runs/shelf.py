"""Recipes as files: the user's own by path, the shipped ones by name (``digits/demo``), both at another size (``...@small``)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from ratelab.core.errors import UserError, nearest
from ratelab.runs.tier import ENDING, Parts, Tier, merged, parts_of, tier_of
from ratelab.runs.yaml12 import parse


@dataclass(frozen=True)
class RecipeFile:
    """A recipe as written. ``base``: its sections; ``sweep``: key -> values; ``families``: mappings of keys to values.

    A family may be another recipe, ``{recipe: NAME, key: value, ...}``, of which the sections that ``base`` gives are replaced.
    ``keys`` and ``parts`` are what a tier changes. ``folder``: where its paths are looked for first.
    """

    source: str
    base: Mapping[str, Any]
    sweep: Mapping[str, Any] = field(default_factory=dict)
    families: tuple[Mapping[str, Any], ...] = ()
    folder: Path = Path()
    keys: Mapping[str, Any] = field(default_factory=dict)
    parts: Parts = field(default_factory=dict)


def shipped() -> dict[str, Traversable]:
    """The recipes that come with RateLab, by name."""
    shelf = files("ratelab").joinpath("recipes")
    return dict(sorted(_below(shelf, ""))) if shelf.is_dir() else {}


def _below(folder: Traversable, prefix: str) -> list[tuple[str, Traversable]]:
    found: list[tuple[str, Traversable]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _below(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".yaml") and not entry.name.endswith(ENDING):
            found.append((prefix + entry.name.removesuffix(".yaml"), entry))
    return found


def tiers(name: str) -> list[str]:
    """The tiers that a shipped recipe comes in, besides its own size."""
    return list(_tiers(name))


def _tiers(name: str) -> dict[str, Tier]:
    """The tiers in a recipe's folder that are meant for it."""
    path = Path(name)
    shelf = files("ratelab").joinpath("recipes", *path.parent.parts)
    folder: Traversable = path.parent if path.is_file() else shelf
    files_found = sorted((entry for entry in folder.iterdir() if entry.name.endswith(ENDING)), key=lambda entry: entry.name)
    read = {entry.name.removesuffix(ENDING): tier_of(_document(entry, entry.name), entry.name) for entry in files_found}
    return {title: tier for title, tier in read.items() if tier.fits(path.name.removesuffix(path.suffix))}


def read_recipe(name: str | Path) -> RecipeFile:
    """The recipe in a file, or the shipped one of that name, as a tier changes it where ``@TIER`` is appended.

    Raises :class:`UserError` where there is none or it is no recipe.
    """
    whole, at, title = str(name).rpartition("@")
    if not at or Path(name).is_file():
        return _whole(str(name))
    recipe, known = _whole(whole), _tiers(whole)
    if title not in known:
        advice = nearest(title, known) if known else f": no *{ENDING} beside it is meant for it"
        raise UserError(f"'{whole}' comes in no tier '{title}'{advice}")
    tier = known[title]
    keys, parts = {**recipe.keys, **tier.keys}, merged(recipe.parts, tier.parts)
    return replace(recipe, source=str(name), keys=keys, parts=parts)


def _whole(name: str) -> RecipeFile:
    path, known = Path(name), shipped()
    if name in known and not path.is_file():
        return from_mapping(_document(known[name], name), name)
    if path.is_file():
        return replace(from_mapping(_document(path, name), name), folder=path.parent)
    if path.suffix in {".yaml", ".yml"} or path.is_dir():
        raise UserError(f"no recipe file '{name}'; give a .yaml file or the name of a shipped recipe, e.g. digits/demo")
    raise UserError(f"no recipe '{name}': neither a file nor a shipped one{nearest(name, known)}")


def _document(file: Traversable, source: str) -> Any:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read {source}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise UserError(f"{source}: no text in UTF-8; give a recipe in YAML") from None
    return parse(text, source)


def from_mapping(document: Any, source: str) -> RecipeFile:
    """Take a recipe's ``sweep``, ``families`` and ``parts`` apart from its sections."""
    if not isinstance(document, Mapping):
        raise UserError(f"{source}: a recipe is a mapping with the keys data, model, ...; see 'ratelab list recipes'")
    base = {key: value for key, value in document.items() if key not in {"sweep", "families", "parts"}}
    sweep, families = document.get("sweep") or {}, document.get("families") or []
    if not isinstance(sweep, Mapping):
        raise UserError(f"{source}: sweep: expected keys and lists, e.g. sweep: {{objective.beta: [0.5, 1]}}")
    if not isinstance(families, list) or not all(isinstance(family, Mapping) and family for family in families):
        raise UserError(
            f"{source}: families: expected a list of mappings, e.g. families: [{{model: vae}}, {{model: hierarchy}}]"
        )
    return RecipeFile(source, base, sweep, tuple(families), parts=parts_of(document, source))


def members(recipe: RecipeFile) -> Iterator[tuple[RecipeFile, dict[str, Any]]]:
    """Each family of a recipe as the recipe whose sections it starts from, and the keys it changes in them."""
    for family in recipe.families or ({},):
        changes = {key: value for key, value in family.items() if key != "recipe"}
        if "recipe" not in family:
            yield recipe, changes
            continue
        start = _whole(_beside(str(family["recipe"]), recipe.folder))
        if start.sweep or start.families:
            raise UserError(f"families: recipe '{family['recipe']}' describes several runs itself; give one of a single run")
        parts = merged(start.parts, recipe.parts)
        yield replace(start, base={**start.base, **recipe.base}, parts=parts, folder=start.folder), changes


def _beside(name: str, folder: Path) -> str:
    """A recipe that another one names: looked for in that one's folder first."""
    return str(folder / name) if (folder / name).is_file() else name

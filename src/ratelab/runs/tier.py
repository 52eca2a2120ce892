"""Tiers: the same recipe at another size. ``NAME@small`` is the recipe NAME as ``small.tier.yaml`` in its folder changes it.

A tier (or a recipe) changes ``parts`` by what they are, wherever in a recipe they stand: ``parts: {conv: {width: 8}}`` makes
every network 'conv' narrow. A tier's ``keys`` change single keys of the recipe, as on the command line; its ``recipes`` say by
their names, with ``*`` for anything, which recipes of the folder it is meant for (left out: all).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ratelab.core.errors import UserError, nearest
from ratelab.core.table import Table
from ratelab.runs.rooms import DEFAULTS, TABLES

ENDING = ".tier.yaml"
Parts = Mapping[str, Mapping[str, Any]]


def parts_of(document: Mapping[str, Any], source: str) -> dict[str, dict[str, Any]]:
    """The ``parts`` of a recipe or tier; :class:`UserError` where one is no entry of any table."""
    given = document.get("parts") or {}
    if not isinstance(given, Mapping) or not all(isinstance(options, Mapping) for options in given.values()):
        raise UserError(f"{source}: parts: expected entries and their options, e.g. parts: {{conv: {{width: 8}}}}")
    known = set(_names())
    for name in given:
        if name not in known:
            raise UserError(f"{source}: parts: nothing is called '{name}'{nearest(str(name), known)}")
    return {str(name): dict(options) for name, options in given.items()}


@dataclass(frozen=True)
class Tier:
    """What a tier's file says."""

    keys: Mapping[str, Any]
    parts: Parts
    recipes: tuple[str, ...]

    def fits(self, recipe: str) -> bool:
        """Whether the tier is meant for the recipe of this name (without its folder)."""
        return any(fnmatchcase(recipe, pattern) for pattern in self.recipes)


def tier_of(document: Any, source: str) -> Tier:
    """A tier's document; :class:`UserError` where it is none."""
    if not isinstance(document, Mapping) or not set(document) <= {"keys", "parts", "recipes"}:
        raise UserError(f"{source}: a tier has 'keys', 'parts' and 'recipes', e.g. keys: {{training.epochs: 10}}")
    keys, recipes = document.get("keys") or {}, document.get("recipes", ["*"])
    if not isinstance(keys, Mapping) or not all(isinstance(key, str) for key in keys):
        raise UserError(f"{source}: keys: expected keys and values, e.g. keys: {{training.epochs: 10}}")
    if not isinstance(recipes, list) or not all(isinstance(pattern, str) for pattern in recipes):
        raise UserError(f"{source}: recipes: expected a list of names, e.g. recipes: [mnist-*]")
    return Tier(dict(keys), parts_of(document, source), tuple(recipes))


def merged(first: Parts, second: Parts) -> dict[str, dict[str, Any]]:
    """Both changes; where they name the same option of the same part the second has the last word.

    >>> merged({"vamp": {"pseudo_inputs": 1000}}, {"vamp": {"pseudo_inputs": 125}, "conv": {"width": 8}})
    {'vamp': {'pseudo_inputs': 125}, 'conv': {'width': 8}}
    """
    return {name: {**first.get(name, {}), **second.get(name, {})} for name in dict.fromkeys([*first, *second])}


def with_parts(recipe: Mapping[str, Any], parts: Parts) -> dict[str, Any]:
    """A copy of a recipe's mapping in which every node that ``parts`` names has the options given there."""
    changed = dict(recipe)
    for section, table in TABLES.items():
        node = recipe.get(section, DEFAULTS.get(section))
        found = _refined(node, table, parts)
        if found != node:
            changed[section] = found
    return changed


def _refined(node: Any, table: Table, parts: Parts) -> Any:
    """The node with what ``parts`` says about it and about the nodes among its options; a node that is none stays."""
    given = {"name": node} if isinstance(node, str) else node
    if not isinstance(given, Mapping) or given.get("name") not in table:
        return node
    found = {**given, **parts.get(given["name"], {})}
    for key, field, below in _nodes(table, given["name"]):
        inner = found.get(key, None if field.is_required() else field.default)
        refined = _refined(inner, below, parts)
        if refined != inner:
            found[key] = refined
    return node if found == {"name": given["name"]} else found


def _nodes(table: Table, name: str) -> Iterator[tuple[str, Any, Table]]:
    """The options of an entry that are entries of a table themselves, with that table."""
    for key, field in table[name].schema.model_fields.items():
        for below in (meta for meta in field.metadata if isinstance(meta, Table)):
            yield key, field, below


def _names() -> Iterator[str]:
    """The names of all entries that a recipe can hold."""
    waiting, seen = list(TABLES.values()), list[Table]()
    while waiting:
        table = waiting.pop()
        if any(table is other for other in seen):
            continue
        seen.append(table)
        for name in table:
            yield name
            waiting += [below for _, _, below in _nodes(table, name)]

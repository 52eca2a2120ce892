"""``a.b.c=value``: one changed key of a recipe, as typed on the command line or listed by a sweep."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ratelab.core.asked import reworded
from ratelab.core.errors import UserError
from ratelab.core.table import Table
from ratelab.runs.rooms import DEFAULTS, TABLES
from ratelab.runs.yaml12 import parse


class Override(NamedTuple):
    """A key by its path from the recipe's top, and the value it gets."""

    path: tuple[str, ...]
    value: Any

    @property
    def key(self) -> str:
        return ".".join(self.path)


def split_assignment(text: str) -> tuple[tuple[str, ...], str]:
    """``a.b=text`` as its path and the text of its value; :class:`UserError` where it is none."""
    key, equals, value = text.partition("=")
    path = tuple(key.strip().split("."))
    if not equals or not all(path):
        raise UserError(f"'{text}': expected key=value, e.g. objective.beta=0.5")
    return path, value


def parse_values(parts: Sequence[str], where: str) -> list[Any]:
    """The values of a list of texts; :class:`UserError` where one is empty: nothing at all is written ``null``."""
    if len(parts) > 1 and not all(part.strip() for part in parts):
        raise UserError(f"{where}: empty value between commas; take the comma out, or write null")
    return [_value(part, where) for part in parts]


def _value(text: str, where: str) -> Any:
    if not text.strip():
        raise UserError(f"{where}: no value after '='; give one, or null for none")
    return parse(text, where)


def apply(recipe: Mapping[str, Any], override: Override) -> dict[str, Any]:
    """A copy of a recipe's mapping with one key changed.

    A path may lead through a node given by its bare name, or not given at all: its default is written out first. In a list a
    position, from 0, is a key: ``objective.beta.0`` is the top layer's. Raises :class:`UserError` where the path leads through a
    plain value, or through a list without such a position.
    """
    head, *rest = override.path
    if not rest:
        return {**recipe, head: override.value}
    given = recipe.get(head)
    section = DEFAULTS.get(head, {}) if given is None else given
    if head == "objective" and len(rest) == 1:
        section = reworded(section, rest[0])
    return {**recipe, head: _changed(section, TABLES.get(head), rest, override, head)}


def _changed(node: Any, table: Table | None, path: list[str], override: Override, where: str) -> Any:
    if isinstance(node, str) and table is not None:
        node = {"name": node}
    if isinstance(node, (list, tuple)) and path[0].isdecimal() and int(path[0]) < len(node):
        position, *rest = path
        entries = list(node)
        below = entries[int(position)]
        entries[int(position)] = _changed(below, None, rest, override, f"{where}.{position}") if rest else override.value
        return entries
    if not isinstance(node, Mapping):
        kind = f"a list of {len(node)}" if isinstance(node, (list, tuple)) else f"the value {node!r}"
        raise UserError(f"'{override.key}': {where} is {kind} and has no key '{path[0]}'; give it whole, as {where}=...")
    head, *rest = path
    if not rest:
        return {**node, head: override.value}
    default, below = _default(node, table, head)
    child = default if node.get(head) is None else node[head]
    return {**node, head: _changed(child, below, rest, override, f"{where}.{head}")}


def _default(node: Mapping[str, Any], table: Table | None, key: str) -> tuple[Any, Table | None]:
    """What an option is when it is not given, and the table it is an entry of (both as far as they are known)."""
    if table is None or node.get("name") not in table:
        return {}, None
    field = table[node["name"]].schema.model_fields.get(key)
    if field is None or field.is_required():
        return {}, None
    below = next((meta for meta in field.metadata if isinstance(meta, Table)), None)
    return ({} if field.default is None else field.default), below

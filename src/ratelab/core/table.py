"""Tables: the pages that list what exists.

Each room's ``__init__`` holds one table, name -> class. The keyword-only parameters of a class are its options in a
recipe, with their annotations as types and limits: the signature is the schema, there is no second place to edit. What a
class is wired to (shapes, networks) are its positional parameters and never come from a recipe.
"""

import inspect
import typing
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from ratelab.core.errors import UserError, nearest

Node = str | dict[str, Any]
"""An option that is an entry of a table itself: annotate it ``Annotated[Node, THAT_TABLE]`` and it is resolved too."""


class Entry:
    """One line of a table: a name, the class behind it, and the options its keyword-only parameters define."""

    def __init__(self, kind: str, name: str, target: type) -> None:
        self.kind, self.name, self.target = kind, name, target

    @property
    def summary(self) -> str:
        """The first line of the class's docstring."""
        return (inspect.getdoc(self.target) or "").split("\n", 1)[0]

    @cached_property
    def schema(self) -> type[BaseModel]:
        """A strict pydantic model of the entry's options."""
        signature = inspect.signature(self.target)
        hints = typing.get_type_hints(self.target.__init__, include_extras=True)  # type: ignore[misc]
        fields: dict[str, Any] = {
            p.name: (hints.get(p.name, Any), ... if p.default is p.empty else p.default)
            for p in signature.parameters.values()
            if p.kind is p.KEYWORD_ONLY
        }
        config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=False)
        return create_model(f"{self.kind}:{self.name}", __config__=config, **fields)

    def options(self, given: Mapping[str, Any], where: str) -> dict[str, Any]:
        """Check ``given`` against the schema and fill in the defaults; raises :class:`UserError` naming the place."""
        try:
            checked = self.schema.model_validate(relaxed(dict(given))).model_dump()
        except ValidationError as error:
            raise UserError(describe(error, where, self.schema)) from None
        for name, field in self.schema.model_fields.items():
            for table in (meta for meta in field.metadata if isinstance(meta, Table)):
                if checked[name] is not None:
                    checked[name] = table.resolve(checked[name], f"{where}.{name}")
        return checked


class Table(Mapping[str, Entry]):
    """A strict mapping from names to entries; an unknown name is a :class:`UserError` with the nearest known one."""

    def __init__(self, kind: str, entries: Mapping[str, type]) -> None:
        self.kind = kind
        self._entries = {name: Entry(kind, name, target) for name, target in entries.items()}

    def __getitem__(self, name: str) -> Entry:
        try:
            return self._entries[name]
        except (KeyError, TypeError):
            raise UserError(f"unknown {self.kind} '{name}'{nearest(str(name), self._entries)}") from None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._entries  # a recipe may hold a list where a name belongs

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def resolve(self, given: str | Mapping[str, Any], where: str) -> dict[str, Any]:
        """A recipe's node (a bare name, or ``{"name": ..., options}``) with every default filled in.

        The result is plain data, ``{"name": name, option: value, ...}``, as it is hashed and stored.
        """
        node = {"name": given} if isinstance(given, str) else given
        if not isinstance(node, Mapping) or "name" not in node:
            raise UserError(f"{where}: {self.wanted(where)}; got {given!r}")
        options = {key: value for key, value in node.items() if key != "name"}
        if node["name"] not in self:
            raise UserError(f"{where}: unknown {self.kind} '{node['name']}'{nearest(str(node['name']), self._entries)}")
        return {"name": node["name"], **self[node["name"]].options(options, where)}

    def wanted(self, where: str) -> str:
        """What to write where an entry of this table belongs."""
        article = "an" if self.kind[0] in "aeiou" else "a"
        return f"expected {article} {self.kind} by name, e.g. '{where}: {next(iter(self))}'"

    def build(self, node: Mapping[str, Any], *wiring: Any) -> Any:
        """Construct the entry of a resolved node with positional ``wiring``."""
        options = {key: value for key, value in node.items() if key != "name"}
        entry = self[node["name"]]
        return entry.target(*wiring, **entry.schema.model_validate(relaxed(options)).__dict__)


def relaxed(value: Any) -> Any:
    """Lists as tuples (YAML and JSON know only lists, frozen options want tuples); everything else untouched."""
    if isinstance(value, (list, tuple)):
        return tuple(relaxed(v) for v in value)
    if isinstance(value, Mapping):
        return {k: relaxed(v) for k, v in value.items()}
    return value


def describe(error: ValidationError, where: str, schema: type[BaseModel]) -> str:
    """One line for the first problem of a validation error, with the nearest valid key for an unknown one."""
    problems = error.errors()
    of_one_option = [problem for problem in problems if problem["loc"][:1] == problems[0]["loc"][:1]]
    first = max(of_one_option, key=lambda problem: len(problem["loc"]))  # of a list that a union allows: its wrong entry
    keys = _places(first, schema)
    place = ".".join([where, *keys]).strip(".")
    if first["type"] == "extra_forbidden":
        return f"{place}: unknown key '{keys[-1]}'{nearest(keys[-1], known_keys(schema, keys[:-1]))}"
    if first["type"] == "missing":
        return f"{place}: this key is required"
    return f"{place}: {_expected(first, place, keys, schema)}; got {first['input']!r}"


_WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a text",
}


def _expected(error: Mapping[str, Any], place: str, keys: list[str], schema: type[BaseModel]) -> str:
    """What belongs in a place, in the words of a recipe rather than of Python."""
    table = _table(schema, keys)
    if table is not None:
        return table.wanted(place)
    kind, given = error["type"], error["input"]
    if kind in _WANTED:
        return f"expected {_WANTED[kind]}"
    if kind == "tuple_type":
        return "expected a list" + (f", e.g. [{given}]" if isinstance(given, (str, int, float)) else "")
    if kind in {"dict_type", "model_type"}:
        return f"expected keys and values{_example(_model(schema, keys))}"
    text: str = error["msg"]
    return (
        f"must be {text.removeprefix('Input should be ')}"
        if text.startswith("Input should be ")
        else text[0].lower() + text[1:]
    )


def _table(schema: type[BaseModel], keys: list[str]) -> "Table | None":
    """The table that the option at ``keys`` is looked up in."""
    field = schema.model_fields.get(keys[0]) if len(keys) == 1 else None
    return None if field is None else next((meta for meta in field.metadata if isinstance(meta, Table)), None)


def _example(model: type[BaseModel] | None) -> str:
    if model is None:
        return ""
    name, field = next(iter(model.model_fields.items()))
    return f", e.g. {{{name}: {'...' if field.is_required() else field.default}}}"


def _places(error: Mapping[str, Any], schema: type[BaseModel]) -> list[str]:
    """The keys and positions that lead to an error, without the names pydantic gives to the members of a union."""
    if error["type"] == "extra_forbidden":
        return [str(part) for part in error["loc"]]
    keys: list[str] = []
    for part in error["loc"]:
        if isinstance(part, int) or str(part) in known_keys(schema, keys):
            keys.append(str(part))
    return keys


def known_keys(schema: type[BaseModel], path: list[str]) -> list[str]:
    """The keys that are valid at ``path`` below ``schema``."""
    model = _model(schema, path)
    return [] if model is None else [field.alias or name for name, field in model.model_fields.items()]


def _model(schema: type[BaseModel], path: list[str]) -> type[BaseModel] | None:
    """The schema of what lies at ``path``, where it has keys of its own."""
    model: Any = schema
    for part in path:
        field = model.model_fields.get(part) if hasattr(model, "model_fields") else None
        options = [] if field is None else [field.annotation, *typing.get_args(field.annotation)]
        model = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
        if model is None:
            return None
    found: type[BaseModel] = model
    return found

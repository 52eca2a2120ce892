"""The tables of all rooms as plain data: what exists, in one line, and its options with types and defaults."""

from collections.abc import Callable, Mapping
from typing import Any

from ratelab.core.errors import UserError, nearest
from ratelab.core.table import Entry, Table

Row = dict[str, Any]


def catalogue(kind: str | None = None) -> dict[str, list[Row]]:
    """Rows ``{"name", "summary", "options"}`` per kind; only ``kind`` where one is given.

    An option is ``{"name", "type", "default", "required"}``. Raises :class:`UserError` for an unknown kind.
    """
    if kind is not None and kind not in KINDS:
        raise UserError(f"nothing of kind '{kind}' to list{nearest(kind, KINDS)}")
    return {name: KINDS[name]() for name in ([kind] if kind else KINDS)}


def _rows(*tables: Table) -> list[Row]:
    return [row(table[name]) for table in tables for name in table]


def row(entry: Entry) -> Row:
    """One entry of a table."""
    schema = entry.schema.model_json_schema()
    required = schema.get("required", [])
    options = [
        {"name": name, "type": in_words(field, schema), "default": field.get("default"), "required": name in required}
        for name, field in schema.get("properties", {}).items()
    ]
    return {"name": entry.name, "summary": unmarked(entry.summary), "options": options}


def unmarked(text: str) -> str:
    r"""One line of a docstring without its markup.

    >>> unmarked(r"``width`` maps (\*lead, d) onwards.")
    'width maps (*lead, d) onwards.'
    """
    return " ".join(text.replace("``", "").replace("\\", "").split())


def in_words(field: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """The type of an option and its limits in plain words.

    >>> in_words({"anyOf": [{"type": "number", "minimum": 0}, {"type": "null"}]}, {})
    'number >= 0 or null'
    """
    if "$ref" in field:
        return in_words(schema["$defs"][field["$ref"].rpartition("/")[2]], schema)
    if "anyOf" in field:
        words = [in_words(option, schema) for option in field["anyOf"]]
        return "an entry by name, or with options" if words == ["text", "mapping"] else " or ".join(words)
    if "enum" in field or "const" in field:
        return " | ".join(str(value) for value in field.get("enum", [field.get("const")]))
    if field.get("type") == "array":
        return f"list of {in_words(field['items'], schema)}" if "items" in field else "list"
    limits = [f" {sign} {field[key]:g}" for key, sign in _LIMITS.items() if key in field]
    return _TYPES.get(field.get("type", ""), "anything") + " and".join(limits)


_TYPES = {
    "number": "number",
    "integer": "integer",
    "string": "text",
    "boolean": "true | false",
    "object": "mapping",
    "null": "null",
}
_LIMITS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


def _objectives() -> list[Row]:
    from ratelab.objectives import OBJECTIVES

    return _rows(OBJECTIVES)


def _encoders() -> list[Row]:
    from ratelab.encoders import ENCODERS

    return _rows(ENCODERS)


def _decoders() -> list[Row]:
    from ratelab.decoders import DECODERS

    return _rows(DECODERS)


def _marginals() -> list[Row]:
    from ratelab.marginals import CONDITIONALS, MARGINALS

    rows = _rows(CONDITIONALS)
    return _rows(MARGINALS) + [{**r, "summary": f"Below the top layer: {r['summary']}"} for r in rows]


def _networks() -> list[Row]:
    from ratelab.models.pixel_density import PIXEL_LAWS
    from ratelab.networks import FEATURES, RENDERERS

    kinds = {"encoder": FEATURES, "decoder": RENDERERS, "density": PIXEL_LAWS}
    return [{**row, "of": of} for of, table in kinds.items() for row in _rows(table)]


def _models() -> list[Row]:
    from ratelab.models import MODELS

    return _rows(MODELS)


def _optimisers() -> list[Row]:
    from ratelab.training import OPTIMISERS

    return _rows(OPTIMISERS)


def _estimators() -> list[Row]:
    from ratelab.estimators import ESTIMATORS

    return _rows(ESTIMATORS)


def _datasets() -> list[Row]:
    from ratelab.data import DATASETS

    return _rows(DATASETS)


def _flows() -> list[Row]:
    from ratelab.distributions.flows import FLOWS

    return _rows(FLOWS)


FAMILIES = "alemi2018/mnist-families"


def _families() -> list[Row]:
    from ratelab.analysis.family import traits
    from ratelab.runs import read_recipe, tiers

    named = {family["title"]: str(family["recipe"]) for family in read_recipe(FAMILIES).families}
    parts = {title: traits(read_recipe(recipe).base) for title, recipe in named.items()}
    return [
        {
            "name": title,
            "summary": ", ".join(f"{part} {kind}" for part, kind in parts[title].items()),
            "recipe": recipe,
            "tiers": tiers(recipe),
            "options": [],
        }
        for title, recipe in named.items()
    ]


def _recipes() -> list[Row]:
    from ratelab.runs import expand, read_recipe, shipped, tiers

    found = {name: read_recipe(name) for name in shipped()}
    return [
        {
            "name": name,
            "summary": str(recipe.base.get("title", "")),
            "runs": len(expand(recipe)),
            "tiers": tiers(name),
            "options": [],
        }
        for name, recipe in found.items()
    ]


KINDS: dict[str, Callable[[], list[Row]]] = {
    "objectives": _objectives,
    "encoders": _encoders,
    "decoders": _decoders,
    "marginals": _marginals,
    "flows": _flows,
    "networks": _networks,
    "models": _models,
    "optimisers": _optimisers,
    "estimators": _estimators,
    "datasets": _datasets,
    "families": _families,
    "recipes": _recipes,
}

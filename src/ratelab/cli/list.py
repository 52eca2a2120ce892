"""``ratelab list``: what exists."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from ratelab.cli.options import AsJson
from ratelab.cli.terminal import answer

if TYPE_CHECKING:
    from ratelab.cli.catalogue import Row


def list_command(
    kind: Annotated[
        str | None,
        Parameter(
            help="One of objectives, encoders, decoders, marginals, flows, networks, models, optimisers, estimators, datasets, "
            "families, recipes; left out: the names of all."
        ),
    ] = None,
    /,
    *,
    as_json: AsJson = False,
) -> None:
    """What exists: objectives, encoders, models, data sets, recipes, ...

    For example:

      ratelab list objectives

    With a kind, every entry is shown with its options, their types and their
    defaults: the keys of a recipe's section. Families are those of Alemi et al.
    2018. A recipe that comes in a tier is shown as NAME[@TIER]: 'ratelab train
    NAME@TIER' trains it at that size.
    """
    from ratelab.cli.catalogue import catalogue

    found = catalogue(kind)

    def text(out: Console) -> None:
        for name, rows in found.items():
            _print(name, rows, out, options=kind is not None)

    answer({"schema": 1, **found}, as_json, text)


def _print(kind: str, rows: "list[Row]", out: Console, options: bool) -> None:
    from ratelab.cli.tables import table

    extra, show = _EXTRA.get(kind, ("", None))
    made = table(kind, "what it is", *([extra] if extra else []))
    for row in rows:
        of = f" ({row['of']})" if "of" in row else ""
        name = row["name"] + of + (_tiers(row) if kind == "recipes" else "")
        made.add_row(name, row["summary"], *([show(row)] if show else []))
        if options:
            for option in row["options"]:
                made.add_row(f"  {option['name']}", f"{option['type']}{_default(option)}")
    out.print(made)


def _tiers(row: dict[str, Any]) -> str:
    return f"[@{'|'.join(row['tiers'])}]" if row["tiers"] else ""


_EXTRA: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "recipes": ("runs>", lambda row: str(row["runs"])),
    "families": ("recipe", lambda row: row["recipe"] + _tiers(row)),
}


def _default(option: dict[str, Any]) -> str:
    if option["required"]:
        return "; required"
    import json

    if option["default"] == "":
        return "; none by default"
    return f"; default {option['default'] if isinstance(option['default'], str) else json.dumps(option['default'])}"

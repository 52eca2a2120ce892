"""``ratelab cite``: the BibTeX of what a run used."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ratelab import __version__
from ratelab.cli.options import DEFAULT_STORE, AsJson, RunName, StoreDir, find_run
from ratelab.cli.terminal import answer
from ratelab.core.at import parted

if TYPE_CHECKING:
    from ratelab.core.reference import Reference
    from ratelab.core.table import Entry, Table
    from ratelab.runs import Recipe

RATELAB = f"""@misc{{ratelab,
  title = {{{{RateLab: latent-variable models on one rate-distortion plane}}}},
  howpublished = {{Python package, version {__version__}}},
  year = {{2026}}
}}"""


def cite_command(run: RunName, /, *, store: StoreDir = DEFAULT_STORE, as_json: AsJson = False) -> None:
    """BibTeX of what a run used.

    For example:

      ratelab cite 3f2a > references.bib

    The entries of the papers behind the run's model and its parts, its objective,
    estimators and data, each with the places (equations, sections) as comments;
    the framework of rate and distortion, and RateLab itself, always.
    """
    from ratelab.runs import recipe_of

    folder = find_run(parted(run)[0], store)
    entries = [
        {"key": found[0].paper.key, "bibtex": found[0].paper.bibtex, "for": sorted({str(r.place) for r in found if r.place})}
        for found in by_paper(recipe_of(folder))
    ]
    entries.append({"key": "ratelab", "bibtex": RATELAB, "for": []})

    def lines() -> Iterator[str]:
        for entry in entries:
            yield from (f"% {place}" for place in entry["for"])
            yield f"{entry['bibtex']}\n"

    answer(
        {"schema": 1, "run": folder.id, "references": entries},
        as_json,
        lambda out: out.print("\n".join(lines()), soft_wrap=True),
    )


def by_paper(recipe: "Recipe") -> "list[list[Reference]]":
    """What a recipe's parts refer to, paper by paper; the framework of rate and distortion first."""
    from ratelab.core.reference import A18, Reference

    grouped = {A18.key: [Reference(A18)]}
    for entry in used(recipe):
        for reference in getattr(entry.target, "references", ()):
            grouped.setdefault(reference.paper.key, []).append(reference)
    return list(grouped.values())


def used(recipe: "Recipe") -> "Iterator[Entry]":
    """Every table entry that a recipe names, at any depth."""
    from ratelab.estimators import ESTIMATORS
    from ratelab.runs.rooms import TABLES

    for section, table in TABLES.items():
        yield from _entries(getattr(recipe, section), table)
    for node in recipe.evaluation.estimators:
        yield from _entries(node, ESTIMATORS)


def _entries(node: Mapping[str, Any], table: "Table") -> "Iterator[Entry]":
    from ratelab.core.table import Table

    entry = table[node["name"]]
    yield entry
    for name, field in entry.schema.model_fields.items():
        for below in (meta for meta in field.metadata if isinstance(meta, Table)):
            if node.get(name) is not None:
                yield from _entries(node[name], below)

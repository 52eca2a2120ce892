"""Writes docs/reference.md: every entry of every table with its options, read from the code.

python docs/make_reference.py           write the page
python docs/make_reference.py --check   fail if the page is not what the tables say
"""

import argparse
import json
import sys
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from ratelab.core.table import Entry, Table
from ratelab.data import DATASETS
from ratelab.decoders import DECODERS
from ratelab.distributions.flows import FLOWS
from ratelab.encoders import ENCODERS
from ratelab.estimators import ESTIMATORS
from ratelab.marginals import CONDITIONALS, MARGINALS
from ratelab.models import MODELS
from ratelab.models.pixel_density import PIXEL_LAWS
from ratelab.networks import FEATURES, RENDERERS
from ratelab.objectives import OBJECTIVES
from ratelab.training import OPTIMISERS

PAGE = Path(__file__).parent / "reference.md"
SECTIONS = {
    "Data sets (`data`)": DATASETS,
    "Models (`model`)": MODELS,
    "Encoders (`model.encoder`)": ENCODERS,
    "Decoders (`model.decoder`)": DECODERS,
    "Marginals (`model.marginal`)": MARGINALS,
    "Marginals of the layers below the top (`model.conditional`)": CONDITIONALS,
    "Densities of images (`model.law` of `density`)": PIXEL_LAWS,
    "Flows (`model.encoder.flow`, `model.marginal.flow`)": FLOWS,
    "Networks from an example to features (`model.encoder.network`)": FEATURES,
    "Networks from latents to an output (`model.decoder.network`)": RENDERERS,
    "Objectives (`objective`)": OBJECTIVES,
    "Optimisers (`optimiser`)": OPTIMISERS,
    "Estimators (`evaluation.estimators`)": ESTIMATORS,
}
INTRO = """# Reference: what there is to combine

A recipe picks one entry of each table by name and sets its options, e.g. `model: {name: vae, latent_dim: 16}`. An option that
is an entry itself is written the same way, one level deeper. This page is written by `python docs/make_reference.py` from the
code; `ratelab list` prints the same on a terminal.
"""


def kind(annotation: Any) -> str:
    """An annotation as a reader would say it: ``int``, ``'exp' or 'softplus'``, ``list of int``, ``null``."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return kind(arguments[0])
    if origin is Literal:
        return " or ".join(json.dumps(value) for value in arguments)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(kind(argument) for argument in arguments))
    if origin is tuple:
        return f"list of {' and '.join(dict.fromkeys(kind(a) for a in arguments if a is not Ellipsis))}"
    if annotation is NoneType:
        return "null"
    return {"str": "text", "bool": "true or false", "Path": "path"}.get(annotation.__name__, annotation.__name__)


def options(entry: Entry) -> list[str]:
    rows = []
    for name, field in entry.schema.model_fields.items():
        table = next((meta for meta in field.metadata if isinstance(meta, Table)), None)
        what = f"a {table.kind}" if table is not None else kind(field.annotation)
        default = "required" if field.is_required() else f"`{json.dumps(field.get_default(), default=str)}`"
        rows.append(f"| `{name}` | {what} | {default} |")
    return rows


def page() -> str:
    lines = [INTRO]
    for title, table in SECTIONS.items():
        lines += [f"## {title}", ""]
        for name, entry in table.items():
            lines += [f"### `{name}`", "", entry.summary.replace("\\*", "*"), ""]
            rows = options(entry)
            if rows:
                lines += ["| option | kind | default |", "| --- | --- | --- |", *rows, ""]
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only say whether the page is up to date")
    text = page()
    if not parser.parse_args().check:
        PAGE.write_text(text)
    elif not PAGE.exists() or PAGE.read_text() != text:
        sys.exit("docs/reference.md is not what the tables say; run: python docs/make_reference.py")


if __name__ == "__main__":
    main()

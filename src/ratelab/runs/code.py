"""Recipes that name code of the user's own: run only when told to, and identified by the code's content."""

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ratelab.core.errors import UserError


def named_code(value: Any) -> Iterator[str]:
    """Every ``package.module:Class`` that a ``custom`` node anywhere in a recipe names."""
    if isinstance(value, Mapping):
        if value.get("name") == "custom" and isinstance(value.get("code"), str):
            yield value["code"]
        for entry in value.values():
            yield from named_code(entry)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from named_code(entry)


def code_digests(recipe: Mapping[str, Any], allow_code: bool) -> dict[str, str]:
    """Module -> SHA-256 of its source file, for the code that a recipe names; nothing is imported unless allowed.

    Allowed modules may lie in the working directory. Raises :class:`UserError` where code is named and not allowed, or where
    it has no source file to be found.
    """
    found = sorted(set(named_code(recipe)))
    if not found:
        return {}
    if not allow_code:
        raise UserError(
            f"this recipe runs code of its own ({', '.join(found)}); read that code, then allow it with --allow-code"
        )
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.append(os.getcwd())
    modules = sorted({dotted.partition(":")[0] for dotted in found})
    return {module: hashlib.sha256(_source(module).read_bytes()).hexdigest() for module in modules}


def _source(module: str) -> Path:
    try:
        spec = find_spec(module)
    except (ImportError, ValueError) as error:
        raise UserError(f"custom code '{module}' cannot be imported ({error}); run from the folder that holds it") from None
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        raise UserError(f"custom code '{module}' has no source file to be found; run from the folder that holds it")
    return Path(spec.origin)

"""Where a recipe's own data lies: a path in a recipe file is looked for beside that file, any other from the working directory.

Recipes hold absolute paths, so that a run can be used from any folder. A run's identity holds none: the data's content stands for it.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SECTION, OPTION = "data", "path"


def placed(path: tuple[str, ...], value: Any, folder: Path) -> Any:
    """The value of a recipe's key, with ``data.path`` made absolute: in ``folder`` if it is there, else in the working directory."""
    if path == (SECTION,) and isinstance(value, Mapping) and OPTION in value:
        return {**value, OPTION: absolute(value[OPTION], folder)}
    return absolute(value, folder) if path == (SECTION, OPTION) else value


def absolute(path: Any, folder: Path) -> Any:
    """A path as text; what is no text is left for the recipe's check to answer."""
    if not isinstance(path, str) or not path:
        return path
    own = Path(os.path.expanduser(path))
    beside = folder / own
    return str((beside if os.path.lexists(beside) else own).absolute())


def without_place(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's sections without the path of its data."""
    data = {option: value for option, value in recipe[SECTION].items() if option != OPTION}
    return {**recipe, SECTION: data}

"""A recipe: all that the result of one run depends on, with every default filled in, and the run's identity.

Identity is the SHA-256 of the resolved recipe and of the data's content; never of the title, of workers, device or folders.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ratelab.core.asked import WORDS, asked
from ratelab.core.errors import UserError, nearest
from ratelab.core.table import describe, relaxed
from ratelab.estimators import ESTIMATORS
from ratelab.runs.places import without_place
from ratelab.runs.rooms import DEFAULTS, TABLES
from ratelab.training import Plan

SCHEMA = 1
BASIC = "rate-distortion"
S = TypeVar("S", bound=BaseModel)
Price = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Evaluation(BaseModel):
    """The ``evaluation`` section: which estimators look at the trained model, and how many examples they see at once.

    The estimator ``rate-distortion`` is always among them: every run has a place on the plane. ``betas``: where a model that is
    conditioned on beta is measured, by default at nine of its range; one number, or one for each layer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    estimators: tuple[Any, ...] = (BASIC,)
    batch_size: Annotated[int, Field(ge=1, le=10**9)] = 500
    betas: tuple[Price | tuple[Price, ...], ...] | None = None


class Recipe(BaseModel):
    """One run, fully resolved. Nodes are ``{"name": ..., options}``; ``title`` is for people and no part of the identity."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    title: str = ""
    data: dict[str, Any]
    model: dict[str, Any]
    objective: dict[str, Any]
    optimiser: dict[str, Any]
    training: Plan
    evaluation: Evaluation
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    def document(self) -> dict[str, Any]:
        """The recipe as plain JSON data, as it is hashed and stored."""
        plain: dict[str, Any] = json.loads(canonical(self.model_dump()))
        return plain

    def key(self) -> str:
        """What two recipes of the same run on the same files share: the canonical JSON of everything but the title."""
        return canonical({name: value for name, value in self.model_dump().items() if name != "title"})

    def subject(self) -> str:
        """:meth:`key` without the path of the data, which may move; what lies there is the rest of a run's identity."""
        return canonical(without_place({name: value for name, value in self.model_dump().items() if name != "title"}))

    def identity(self, data_digest: str, code: Mapping[str, str]) -> str:
        """64 hexadecimal digits; the first 12 name the run. ``code``: module -> SHA-256 of its source."""
        return hashlib.sha256(f"{self.subject()}\n{data_digest}\n{canonical(code)}".encode()).hexdigest()


def canonical(value: Any) -> str:
    """JSON with sorted keys and without spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def resolve(given: Mapping[str, Any]) -> Recipe:
    """Check a recipe's mapping and fill in every default.

    Raises :class:`UserError` for a key or a name that does not exist (naming the nearest one), for a value of the wrong type
    or outside its limits, and for a missing section.
    """
    sections = dict(given)
    for key in sections:
        if key not in Recipe.model_fields:
            hint = f"; did you mean 'objective.{key}'?" if key in WORDS else nearest(str(key), Recipe.model_fields)
            raise UserError(f"unknown key '{key}'{hint}")
    _check_conditioning(sections)
    for section, table in TABLES.items():
        node = asked(sections.get(section)) if section == "objective" else sections.get(section)
        node = DEFAULTS.get(section) if node is None else node
        if section == "objective":
            _check_rates(node)
        if node is None:
            raise UserError(f"{section}: this key is required, e.g. '{section}: {next(iter(table))}'")
        sections[section] = finite(table.resolve(node, section), section)
    sections["training"] = _checked(Plan, sections.get("training"), "training")
    sections["evaluation"] = _evaluation(sections.get("evaluation"))
    return _checked(Recipe, sections, "")


def _check_conditioning(sections: Mapping[str, Any]) -> None:
    """:class:`UserError` for a model that cannot be conditioned on beta, and for betas to measure a model at that is not."""
    node, evaluation = sections.get("model"), sections.get("evaluation")
    name = node.get("name") if isinstance(node, Mapping) and node.get("conditioning") is not None else None
    able = [name for name, entry in TABLES["model"].items() if "conditioning" in entry.schema.model_fields]
    if name in TABLES["model"] and name not in able:
        raise UserError(f"model.conditioning: model '{name}' cannot be conditioned on beta; these can: {', '.join(able)}")
    if name is None and isinstance(evaluation, Mapping) and evaluation.get("betas") is not None:
        raise UserError("evaluation.betas: the model is of one beta; set 'model.conditioning: beta' for one model of many")


def _check_rates(node: Any) -> None:
    """:class:`UserError` for rates of layers where an objective takes one rate, or none, or calls them otherwise."""
    objectives = TABLES["objective"]
    if not isinstance(node, Mapping) or node.get("name") not in objectives:
        return
    name, option = node["name"], "rates" if "rates" in node else "rate"
    if option == "rate" and not isinstance(node.get("rate"), (list, tuple)):
        return
    options = {each: entry.schema.model_fields.get("rate") for each, entry in objectives.items()}
    layered = [each for each, field in options.items() if field is not None and _lists(field.annotation)]
    if name not in layered:
        takes = "no rate" if options[name] is None else "one rate, the total"
        raise UserError(f"objective.{option}: '{name}' takes {takes}; one per layer, top first, take {', '.join(layered)}")
    if option == "rates":
        given = ", ".join(map(str, node["rates"])) if isinstance(node["rates"], (list, tuple)) else "5, 15"
        raise UserError(f"objective.rates: '{name}' calls them rate: {{name: {name}, rate: [{given}]}}")


def _lists(annotation: Any) -> bool:
    """Whether an option may be a list."""
    return any(get_origin(part) is tuple for part in get_args(annotation))


def _evaluation(given: Any) -> Evaluation:
    section = _checked(Evaluation, given, "evaluation")
    where = "evaluation.estimators"
    nodes = [finite(ESTIMATORS.resolve(node, where), where) for node in section.estimators]
    if all(node["name"] != BASIC for node in nodes):
        nodes.insert(0, ESTIMATORS.resolve(BASIC, where))
    repeated = next((node["name"] for i, node in enumerate(nodes) if node["name"] in [n["name"] for n in nodes[:i]]), None)
    if repeated is not None:
        raise UserError(f"{where}: '{repeated}' is listed twice; list each estimator once")
    return section.model_copy(update={"estimators": tuple(nodes)})


def _checked(schema: type[S], given: Any, where: str) -> S:
    if given is not None and not isinstance(given, Mapping):
        raise UserError(
            f"{where}: expected keys and values, e.g. {where}: {{{next(iter(schema.model_fields))}: ...}}; got {given!r}"
        )
    try:
        return schema.model_validate(relaxed(given or {}))
    except ValidationError as error:
        raise UserError(describe(error, where, schema)) from None


def finite(node: dict[str, Any], where: str) -> dict[str, Any]:
    """The node itself; :class:`UserError` where an option is infinite or no number (JSON could not hold the recipe)."""
    try:
        canonical(node)
    except ValueError:
        raise UserError(f"{where}: an option is infinite or not a number; give a finite one") from None
    return node

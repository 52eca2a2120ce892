"""A run as a point of the rate-distortion plane, or the reason why it is not one."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ratelab.analysis.family import distinguish, families, flat, names, node, traits
from ratelab.analysis.records import Estimates, Record
from ratelab.core.at import Condition, betas_of
from ratelab.core.estimate import OF_CODES, OF_LABEL, Estimate

CONDITIONED = "one model for all beta"  # in the label of a family
UNKNOWN = Estimate(math.nan, math.nan, 0, of="", bound="estimate", why="not measured")


@dataclass(frozen=True)
class Point:
    """A run on the plane: test-split estimates in nats, with one standard error each.

    ``apart`` is the reason why the run is kept off the plane; empty for a run that is on it. ``rates``: one estimate per
    layer, top layer first. ``data``: the data set, and the kind of likelihood where its runs have two. ``setting``: the
    options of the objective (and the seed) that tell it from the rest of its family.
    """

    record: Record
    family: str
    data: str
    setting: str
    rate: Estimate
    distortion: Estimate
    neg_elbo: Estimate
    rates: tuple[Estimate, ...] = ()
    beta: float | None = None
    traits: Mapping[str, str] = field(default_factory=dict)
    apart: str = ""

    @property
    def run(self) -> str:
        """The run's id, with the beta where one model serves many."""
        return self.record.run

    @property
    def conditioned(self) -> bool:
        """One of many points of one model that was conditioned on beta."""
        return self.record.condition is not None

    @property
    def xy(self) -> tuple[float, float]:
        """(rate, distortion) on the test split."""
        return self.rate.value, self.distortion.value

    @property
    def density(self) -> bool:
        """The decoder gives densities of real values; else probabilities of discrete ones (or it says nothing)."""
        return self.record.density

    @property
    def validation_xy(self) -> tuple[float, float] | None:
        """(rate, distortion) on the validation split; ``None`` where it was not measured."""
        pair = one(self.record.validation, "rate").value, one(self.record.validation, "distortion").value
        return pair if all(map(math.isfinite, pair)) else None


def points(records: Sequence[Record]) -> list[Point]:
    """All runs as points, finished or not, with labels that tell them apart; runs of which no recipe is left come last."""
    known = [record for record in records if record.recipe]
    recipes = [as_one_of_many(record.recipe, record.condition) for record in known]
    labels = [
        marked(label, recipe) for label, recipe in zip(families(recipes, [r.layers for r in known]), recipes, strict=True)
    ]
    data = names([node(recipe["data"]) for recipe in recipes])
    asked = settings([{key: value for key, value in recipe.items() if key != "data"} for recipe in recipes])
    found = [
        _point(record, recipe, family, where, setting)
        for record, recipe, family, where, setting in zip(known, recipes, labels, data, asked, strict=True)
    ]
    return [*_kinds_apart(found), *(_lost(record) for record in records if not record.recipe)]


def marked(family: str, recipe: Mapping[str, Any]) -> str:
    """A family's label that says so where its points are of one model, also where no other family is there to tell it from."""
    return family if "serves" not in node(recipe["model"]) or CONDITIONED in family else f"{family}, {CONDITIONED}"


def as_one_of_many(recipe: Mapping[str, Any], at: Condition | None = None) -> Mapping[str, Any]:
    """A recipe as labels are made of it: what one model for the whole curve is ``at`` one beta reads as a model of that beta."""
    model, objective = node(recipe["model"]), node(recipe["objective"])
    given = model.pop("conditioning", None)
    if given is not None:
        model |= {"serves": CONDITIONED, "conditioning": {key: value for key, value in node(given).items() if key != "name"}}
        betas = () if at is None else betas_of(at)
        objective["beta"] = betas[0] if len(betas) == 1 else betas or None
    return {**recipe, "model": model, "objective": objective}


def _kinds_apart(found: Sequence[Point]) -> list[Point]:
    """A probability in nats and a density in nats bound different entropies: where a data set has both they share no plane."""
    kinds = {(p.data, p.density) for p in found if not p.apart}
    both = {data for data, density in kinds if density and (data, False) in kinds}
    return [replace(p, data=f"{p.data}, densities") if p.density and p.data in both else p for p in found]


def one(estimates: Estimates, name: str) -> Estimate:
    """The named scalar estimate, or an unknown one that says it was not measured."""
    found = estimates.get(name, UNKNOWN)
    return found if isinstance(found, Estimate) else UNKNOWN


def settings(recipes: Sequence[Mapping[str, Any]]) -> list[str]:
    """What each run asked its objective for, e.g. ``"beta 0.5, seed 2"``: options that differ among the runs, and beta.

    Runs of one model that asked for the same get what else tells them apart, be it in the optimiser or anywhere in the recipe.

    >>> one = {"model": "vae", "objective": {"name": "beta", "beta": 0.5, "samples": 1}, "optimiser": {"name": "adam", "lr": 0.1}}
    >>> settings([one, {**one, "objective": {"name": "beta", "beta": 1.0}}])
    ['beta 0.5', 'beta 1']
    >>> settings([one, {**one, "optimiser": {"name": "adam", "lr": 0.01}}])
    ['beta 0.5, optimiser lr 0.1', 'beta 0.5, optimiser lr 0.01']
    """
    asked = [{**node(recipe["objective"]), "seed": recipe.get("seed")} for recipe in recipes]
    told: list[str] = []
    for options in asked:
        shown = [
            f"{key.replace('_', ' ')} {_text(value)}"
            for key, value in options.items()
            if key != "name" and value is not None and (key == "beta" or any(o.get(key, value) != value for o in asked))
        ]
        told.append(", ".join(shown))
    return _told_apart(recipes, told)


def _told_apart(recipes: Sequence[Mapping[str, Any]], told: Sequence[str]) -> list[str]:
    """Add the few words that differ to the settings of runs that share model, objective and setting."""
    leaves = [flat({key: value for key, value in recipe.items() if key != "seed"}) for recipe in recipes]
    same: dict[str, list[int]] = {}
    for i, recipe in enumerate(recipes):
        same.setdefault(repr((recipe.get("model"), node(recipe["objective"])["name"], told[i])), []).append(i)
    labels = list(told)
    for members in same.values():
        for i, words in zip(members, distinguish([leaves[i] for i in members]), strict=True):
            labels[i] = ", ".join(part for part in [told[i], *words] if part)
    return labels


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value.get("name", "on"))
    if isinstance(value, (list, tuple)):
        return "(" + ", ".join(_text(v) for v in value) + ")"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _point(record: Record, recipe: Mapping[str, Any], family: str, data: str, setting: str) -> Point:
    rate, distortion = one(record.estimates, "rate"), one(record.estimates, "distortion")
    layers, beta = record.estimates.get("rates"), node(recipe["objective"]).get("beta")
    return Point(
        record=record,
        family=family,
        data=data,
        setting=setting,
        rate=rate,
        distortion=distortion,
        neg_elbo=one(record.estimates, "neg_elbo"),
        rates=tuple(layers) if isinstance(layers, list) else (),
        beta=float(beta) if isinstance(beta, (int, float)) else None,
        traits=traits(record.recipe),
        apart=_apart(record, rate, distortion),
    )


def _lost(record: Record) -> Point:
    """A run of which nothing tells what it is, not even its data set."""
    why = _apart(record, UNKNOWN, UNKNOWN)
    return Point(record, "unknown recipe", "", "", UNKNOWN, UNKNOWN, UNKNOWN, apart=why)


def _apart(record: Record, rate: Estimate, distortion: Estimate) -> str:
    """Why a run has no place on the plane; D + R bounds the data's entropy only if neither part lies below its truth."""
    if record.status != "done":
        return f"{record.status}{': ' + record.why if record.why else ''}"
    for name, estimate in (("rate", rate), ("distortion", distortion)):
        if math.isnan(estimate.value):
            return f"the {name} is unknown: {estimate.why or 'no reason given'}"
        if math.isinf(estimate.value):
            return f"the {name} is infinite{': ' + estimate.why if estimate.why else ''}"
        if estimate.bound in ("lower", "estimate"):
            claim = "a lower bound" if estimate.bound == "lower" else "an estimate without a guaranteed side"
            return f"the {name} is {claim}: {estimate.of}"
    of = {OF_LABEL: "the label", OF_CODES: "another run's codes"}.get(distortion.of)
    return f"its distortion is of {of}, not of the example" if of else ""

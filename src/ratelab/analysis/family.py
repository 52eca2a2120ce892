"""Short human names for what runs have in common and what tells them apart.

A family is an architecture together with the name of its objective: the runs of a family differ in beta, target rate,
seed or the way they were optimised. Its label holds no more than is needed to tell it from the other families present.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

PARTS = ("encoder", "decoder", "marginal")
OBJECTIVE = "objective"


def node(value: Any) -> dict[str, Any]:
    """A recipe's node as a mapping; a bare name stands for an entry without options."""
    return dict(value) if isinstance(value, Mapping) else {"name": str(value)}


def families(recipes: Sequence[Mapping[str, Any]], layers: Sequence[int]) -> list[str]:
    """One label per recipe. ``layers``: the number of latent layers of each run, shown where it is more than one.

    >>> recipe = {"model": {"name": "vae", "decoder": "mlp"}, "objective": {"name": "beta", "beta": 1.0}}
    >>> other = {"model": {"name": "vae", "decoder": "conv"}, "objective": {"name": "beta", "beta": 1.0}}
    >>> families([recipe, other, {**recipe, "model": "hierarchy"}], [1, 1, 2])
    ['vae, mlp', 'vae, conv', 'hierarchy, 2 layers']
    """
    heads = [node(recipe["model"])["name"] for recipe in recipes]
    labels = list(heads)
    for head in dict.fromkeys(heads):
        mine = [i for i, h in enumerate(heads) if h == head]
        settings = [{**flat(node(recipes[i]["model"])), OBJECTIVE: node(recipes[i]["objective"])["name"]} for i in mine]
        for i, words in zip(mine, distinguish(settings), strict=True):
            depth = [f"{layers[i]} layers"] if layers[i] > 1 else []
            labels[i] = ", ".join([head, *words, *depth])
    return labels


def names(nodes: Sequence[Mapping[str, Any]]) -> list[str]:
    """One label per node: its name, and what tells it from other nodes of the same name.

    >>> names([{"name": "digits"}, {"name": "digits"}, {"name": "mnist", "binary": "static"}])
    ['digits', 'digits', 'mnist']
    """
    labels = [str(n["name"]) for n in nodes]
    for head in dict.fromkeys(labels):
        mine = [i for i, n in enumerate(nodes) if n["name"] == head]
        for i, words in zip(mine, distinguish([flat(nodes[i]) for i in mine]), strict=True):
            labels[i] = ", ".join([head, *words])
    return labels


def traits(recipe: Mapping[str, Any]) -> dict[str, str]:
    """The names of the encoder, decoder and marginal of a recipe's model, where it has them.

    >>> traits({"model": {"name": "vae", "encoder": "gaussian", "marginal": {"name": "vamp", "inputs": 500}}})
    {'encoder': 'gaussian', 'marginal': 'vamp'}
    """
    model = node(recipe["model"])
    return {part: str(node(model[part])["name"]) for part in PARTS if model.get(part) is not None}


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested node as ``{"a.b": value}``, names included; lists stay values.

    >>> flat({"decoder": {"name": "mlp", "hidden": [64, 64]}, "latent_dim": 8})
    {'decoder.name': 'mlp', 'decoder.hidden': (64, 64), 'latent_dim': 8}
    """
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            leaves |= flat(value, f"{prefix}{key}.")
        else:
            leaves[prefix + key] = _frozen(value)
    return leaves


def distinguish(settings: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """For each setting the few words that tell it from the others; equal settings get equal words.

    Keys are taken in order (names of things first, then shallow before deep) and only while they split groups further.
    """
    keys = sorted(
        {key for s in settings for key in s}, key=lambda k: (not _is_name(k, settings), k == OBJECTIVE, k.count("."), k)
    )
    chosen: list[str] = []
    groups = 1
    for key in keys:
        split = len({tuple(s.get(k) for k in [*chosen, key]) for s in settings})
        if split > groups:
            chosen, groups = [*chosen, key], split
    bare = {key for key in chosen if _is_name(key, settings) and not _shared_values(key, chosen, settings)}
    return [[w for key in chosen if (w := _word(key, s.get(key), key in bare))] for s in settings]


def _is_name(key: str, settings: Iterable[Mapping[str, Any]]) -> bool:
    return all(isinstance(s[key], str) for s in settings if key in s)


def _shared_values(key: str, chosen: Iterable[str], settings: Sequence[Mapping[str, Any]]) -> bool:
    mine = {s.get(key) for s in settings}
    return any(mine & {s.get(other) for s in settings} - {None} for other in chosen if other != key)


def _word(key: str, value: Any, bare: bool) -> str:
    title = key.removesuffix(".name").replace(".", " ").replace("_", " ")
    if value is None:
        return ""
    if isinstance(value, bool):
        return title if value else f"no {title}"
    if isinstance(value, tuple):
        value = "-".join(map(str, value)) or "none"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if bare else f"{title} {text}"


def _frozen(value: Any) -> Any:
    """Lists as tuples, so that values can be counted; a mapping inside a list as its text."""
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(v) for v in value)
    return str(dict(value)) if isinstance(value, Mapping) else value

"""The vocabulary of steering: ``beta``, ``rate``, ``rates`` or ``distortion`` says what is wanted and so names the objective.

A price is the beta-VAE's; a target is met by the controller on log beta, whose model at rest is the beta-VAE of that point.
"""

from collections.abc import Collection, Mapping
from typing import Any

from ratelab.core.errors import UserError

WORDS = {"beta": "beta", "rate": "controlled-rate", "rates": "controlled-rate", "distortion": "controlled-distortion"}
TARGETS = tuple(word for word in WORDS if word != "beta")


def asked(node: Any) -> Any:
    """A recipe's objective given by a word alone, e.g. ``{"rate": 20}``, as a node of the table; any other node as it is.

    Raises :class:`UserError` for words that contradict each other, and where one number stands for several or the reverse.

    >>> asked({"rates": [5.0, 15.0]})
    {'name': 'controlled-rate', 'rate': [5.0, 15.0]}
    """
    if not isinstance(node, Mapping) or "name" in node or not any(word in WORDS for word in node):
        return node
    words = [word for word in WORDS if word in node]
    check_words(words)
    (word,) = words
    several = isinstance(node[word], (list, tuple))
    if word == "rate" and several:
        raise UserError("objective.rate: expected one number, the total; for one per layer, top first, use rates")
    if word == "rates" and not several:
        raise UserError(f"objective.rates: expected a list, one rate per layer, top first, e.g. [5, 15]; got {node[word]!r}")
    rest = {key: value for key, value in node.items() if key != word}
    return {"name": WORDS[word], "rate" if word == "rates" else word: node[word], **rest}


def check_words(words: Collection[str]) -> None:
    """:class:`UserError` where more than one of the words is used: a price follows from a target, and only one target can be held."""
    targets = [word for word in TARGETS if word in words]
    if len(targets) > 1:
        raise UserError(f"{' and '.join(targets)} contradict each other: only one of them can be held; leave out the others")
    if targets and "beta" in words:
        raise UserError(f"beta and {targets[0]} contradict each other: the price follows from the target; leave out beta")


def reworded(node: Any, word: str) -> Any:
    """The node to which ``word`` is going to be added: without what it says now where both are words of the vocabulary.

    A price in a recipe gives way to a target that is asked for on the command line, and the reverse.

    >>> reworded({"name": "beta", "beta": 0.5}, "rate"), reworded({"name": "target-rate", "rate": 5.0}, "rate")
    ({}, {'name': 'target-rate', 'rate': 5.0})
    """
    node = asked(node)
    name = node.get("name") if isinstance(node, Mapping) else node
    if word not in WORDS or name not in WORDS.values():
        return node
    keeps = name == WORDS[word] and word != "rates"
    return node if keeps else {}

"""docs/numbers.md says of every estimator what it bounds, when it misleads, and what it costs."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_estimator_is_explained_in_three_sentences() -> None:
    """What it bounds, when it misleads, what it costs: docs/numbers.md, under the estimator's or its numbers' names."""
    from ratelab.estimators import ESTIMATORS

    text = (ROOT / "docs" / "numbers.md").read_text()
    bold = {name for names in re.findall(r"^\*\*(.*?)\.?\*\*", text, re.MULTILINE) for name in names.split(", ")}
    code = set(re.findall(r"^(?:\*\*|#).*?\(?`([\w-]+)`", text, re.MULTILINE))
    assert [name for name in ESTIMATORS if name not in code and name.replace("-", "_") not in bold] == []
    assert text.lower().count("mislead") >= len(ESTIMATORS)

"""Every encoder, flow and marginal of the tables appears in a model that obeys the laws of models."""

import pytest
from toys import CASES

from ratelab.distributions.flows import FLOWS
from ratelab.encoders import ENCODERS
from ratelab.marginals import MARGINALS


def named(value: object) -> str:
    return value["name"] if isinstance(value, dict) else str(value)


@pytest.mark.parametrize(("key", "table"), [("encoder", ENCODERS), ("marginal", MARGINALS)])
def test_every_entry_has_a_case(key: str, table: object) -> None:
    assert {named(node[key]) for node, _ in CASES.values() if key in node} >= set(table)  # type: ignore[call-overload]


def test_every_flow_has_a_case_with_and_without_x() -> None:
    steps = [
        (named(node["encoder"].get("flow")), "context" in node["encoder"]) for node, _ in CASES.values() if "encoder" in node
    ]
    assert set(steps) >= {(name, sees) for name in FLOWS for sees in (False, True)}

"""The table of estimates shows every standard error that is not zero."""

import io

import pytest
from rich.console import Console

from ratelab.cli.tables import estimates_table
from ratelab.core.estimate import Estimate


@pytest.mark.parametrize(
    ("stderr", "shown"),
    [(0.0012, "0.8012 ± 0.0012"), (0.0049, "0.8012 ± 0.0049"), (0.005, "0.80 ± 0.01"), (0.0, "0.80 ± 0.00")],
)
def test_a_small_standard_error_is_not_shown_as_none(stderr: float, shown: str) -> None:
    out = io.StringIO()
    record = Estimate(0.8012, stderr, 250, of="acceptance").to_json()
    Console(file=out, width=120).print(estimates_table({"estimates": {"ais_acceptance": record}}))
    assert shown in out.getvalue()
